// Java's java.net.http.HttpClient: Client URL CA-FILE SCENARIO; prints what became of it as JSON.
import java.io.FileInputStream;
import java.io.InputStream;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.security.KeyStore;
import java.security.cert.CertificateFactory;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Collectors;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManagerFactory;

public class Client {
  static String url;
  static HttpClient client;

  static HttpRequest.Builder request(String path) {
    return HttpRequest.newBuilder(URI.create(url + path));
  }

  static String get(String path) throws Exception {
    return client.send(request(path).build(), BodyHandlers.ofString()).body();
  }

  static String json(List<String> texts) {
    return texts.stream().map(text -> '"' + text.replace("\"", "'") + '"')
        .collect(Collectors.joining(",", "[", "]"));
  }

  static String parallel() throws Exception {
    get("/"); // so that there is a connection
    List<CompletableFuture<HttpResponse<String>>> asked = new ArrayList<>();
    for (int i = 0; i < 100; ++i) {
      asked.add(client.sendAsync(request("/").build(), BodyHandlers.ofString()));
    }
    List<String> bodies = new ArrayList<>();
    for (var answer : asked) bodies.add(answer.get().body());
    return json(bodies);
  }

  static String echo() throws Exception {
    byte[] sent = new byte[10 << 20];
    for (int i = 0; i < sent.length; ++i) sent[i] = (byte) (i * 31);
    var posted = request("/echo").POST(BodyPublishers.ofByteArray(sent)).build();
    return String.valueOf(Arrays.equals(client.send(posted, BodyHandlers.ofByteArray()).body(), sent));
  }

  static String hints() throws Exception {
    return "[" + client.send(request("/hints").build(), BodyHandlers.ofString()).statusCode() + ",[]]";
  }

  static String cancel() throws Exception {
    try (InputStream body = client.send(request("/endless").build(), BodyHandlers.ofInputStream()).body()) {
      body.readNBytes(1 << 20);
    }
    return String.valueOf(client.send(request("/").build(), BodyHandlers.ofString()).statusCode());
  }

  static String load() throws Exception {
    AtomicBoolean ended = new AtomicBoolean();
    AtomicInteger answered = new AtomicInteger();
    List<String> failed = Collections.synchronizedList(new ArrayList<>());
    List<Thread> threads = new ArrayList<>();
    for (int i = 0; i < 8; ++i) {
      Thread thread = new Thread(() -> {
        while (!ended.get()) {
          try {
            get("/");
            answered.incrementAndGet();
          } catch (Exception error) {
            failed.add(error.toString());
          }
        }
      });
      threads.add(thread);
      thread.start();
    }
    while (System.in.read() >= 0) {
    }
    ended.set(true);
    for (Thread thread : threads) thread.join();
    return "{\"answered\":" + answered + ",\"failed\":" + json(failed) + "}";
  }

  public static void main(String[] words) throws Exception {
    url = words[0];
    KeyStore store = KeyStore.getInstance(KeyStore.getDefaultType());
    store.load(null, null);
    try (var file = new FileInputStream(words[1])) {
      store.setCertificateEntry("authority", CertificateFactory.getInstance("X.509").generateCertificate(file));
    }
    TrustManagerFactory trust = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
    trust.init(store);
    SSLContext context = SSLContext.getInstance("TLS");
    context.init(null, trust.getTrustManagers(), null);
    client = HttpClient.newBuilder().version(HttpClient.Version.HTTP_2).sslContext(context).build();
    String result;
    switch (words[2]) {
      case "parallel": result = parallel(); break;
      case "echo": result = echo(); break;
      case "hints": result = hints(); break;
      case "cancel": result = cancel(); break;
      case "load": result = load(); break;
      default: throw new IllegalArgumentException(words[2]);
    }
    System.out.println(result);
  }
}

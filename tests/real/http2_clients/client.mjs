// Node's http2: client.mjs URL CA-FILE SCENARIO; prints what became of it as JSON.
import { readFileSync } from "node:fs";
import http2 from "node:http2";
import { Buffer } from "node:buffer";

const [url, authority, scenario] = process.argv.slice(2);
const connect = () => {
  const made = http2.connect(url, { ca: readFileSync(authority) });
  made.on("error", () => {}); // its requests tell
  return made;
};
let session = connect();

function ask(path, { method = "GET", body, trailers } = {}) {
  return new Promise((resolve, reject) => {
    if (session.closed || session.destroyed) session = connect();
    const stream = session.request(
      { ":path": path, ":method": method },
      { endStream: body === undefined, waitForTrailers: trailers !== undefined },
    );
    const answer = { hints: [], chunks: [], trailers: {} };
    stream.on("headers", (fields) => answer.hints.push(fields.link));
    stream.on("response", (fields) => (answer.status = fields[":status"]));
    stream.on("trailers", (fields) => (answer.trailers = { ...fields }));
    stream.on("wantTrailers", () => stream.sendTrailers(trailers));
    stream.on("data", (chunk) => answer.chunks.push(chunk));
    stream.on("end", () => resolve({ ...answer, body: Buffer.concat(answer.chunks) }));
    stream.on("error", reject);
    if (body !== undefined) stream.end(body);
  });
}

const scenarios = {
  async parallel() {
    const answers = await Promise.all(Array.from({ length: 200 }, () => ask("/")));
    return answers.map((answer) => answer.body.toString());
  },
  async echo() {
    const sent = Buffer.alloc(10 << 20, "0123456789abcdef");
    return (await ask("/echo", { method: "POST", body: sent })).body.equals(sent);
  },
  async trailers() {
    const trailers = { "x-checksum": "1", etag: "a" };
    const answer = await ask("/trailers", { method: "POST", body: "abc", trailers });
    return [answer.body.toString(), answer.trailers];
  },
  async hints() {
    const answer = await ask("/hints");
    return [answer.status, answer.hints];
  },
  async cancel() {
    const stream = session.request({ ":path": "/endless" });
    let read = 0;
    await new Promise((resolve) => {
      stream.on("data", (chunk) => {
        read += chunk.length;
        if (read > 1 << 20) stream.close(http2.constants.NGHTTP2_CANCEL, resolve);
      });
    });
    return (await ask("/")).status;
  },
  async load() {
    let ended = false;
    process.stdin.on("end", () => (ended = true)).resume();
    const counts = { answered: 0, failed: [] };
    const turn = async () => {
      while (!ended) {
        try {
          if ((await ask("/")).status === 200) counts.answered += 1;
          else counts.failed.push("status");
        } catch (error) {
          // A stream that was turned down, or never sent, may be asked for again.
          const untold = ["ERR_HTTP2_GOAWAY_SESSION", "ERR_HTTP2_INVALID_SESSION"];
          const refused = /REFUSED_STREAM/.test(error.message);
          if (!refused && !untold.includes(error.code)) counts.failed.push(String(error));
        }
      }
    };
    await Promise.all(Array.from({ length: 8 }, turn));
    return counts;
  },
};

console.log(JSON.stringify(await scenarios[scenario]()));
session.destroy();

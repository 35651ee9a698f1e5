# The server for Homebrew, built by CMake against Homebrew's own libraries.
#
# The address and checksum are those of a release's archive: whoever publishes one puts them here.
class ProwingenWsgi < Formula
  desc "WSGI server whose HTTP runs in native threads"
  homepage "https://example.org/prowingen-wsgi"
  url "https://example.org/prowingen-wsgi/archive/v0.1.0.tar.gz"
  sha256 "0000000000000000000000000000000000000000000000000000000000000000"
  license "BSD-3-Clause"

  depends_on "boost" => :build
  depends_on "cmake" => :build
  depends_on "ninja" => :build
  depends_on "pybind11" => :build
  depends_on "brotli"
  depends_on "libdeflate"
  depends_on "libnghttp2"
  depends_on "openssl@3"
  depends_on "python@3.13"
  depends_on "zstd"

  uses_from_macos "zlib"

  def python3
    Formula["python@3.13"].opt_libexec/"bin/python3"
  end

  def install
    pybind11 = Formula["pybind11"].opt_share/"cmake/pybind11"
    system "cmake", "-S", ".", "-B", "build", "-G", "Ninja", "-DPROWINGEN_PROXYGEN=OFF",
           "-DPython_EXECUTABLE=#{python3}", "-Dpybind11_DIR=#{pybind11}", *std_cmake_args
    system "cmake", "--build", "build", "--target", "_native"
    system python3, "-B", "tools/stage_package.py", "--native", Dir["build/_native.*.so"].first,
           "--root", "/", "--prefix", prefix, "--python", python3, "--without-systemd",
           "--site", prefix/Language::Python.site_packages(python3)
  end

  service do
    run [opt_bin/"prowingen", "--config", etc/"prowingen.toml"]
    keep_alive true
    log_path var/"log/prowingen.log"
    error_log_path var/"log/prowingen.log"
  end

  test do
    (testpath/"hello.py").write <<~PYTHON
      def app(environ, start_response):
          start_response("200 OK", [("Content-Type", "text/plain")])
          return [b"Hello"]
    PYTHON
    port = free_port
    server = spawn bin/"prowingen", "hello:app", "--bind", "127.0.0.1:#{port}"
    begin
      assert_equal "Hello", shell_output("curl -s --retry 9 --retry-connrefused 127.0.0.1:#{port}")
    ensure
      Process.kill "TERM", server
      Process.wait server
    end
  end
end

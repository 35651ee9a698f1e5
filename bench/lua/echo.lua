-- 64 KiB POST; the body is the letter `u` repeated, as the probe sends it.
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/octet-stream"
wrk.body = string.rep("u", 65536)

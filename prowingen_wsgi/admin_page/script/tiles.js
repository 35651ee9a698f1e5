/* The figures at the top. Rates are of the last second; shares and percentiles of the last ten. */

class Tiles {
  constructor(history) {
    this.history = history;
  }

  update(bounds) {
    const now = this.history.last;
    this.updateRates(this.history.span(1));
    this.updateSpreads(this.history.span(10), bounds);
    this.updateQueue(now);
    this.updateConnections(now);
    this.updateWorkers(now);
  }

  updateRates(span) {
    const rate = (read) => span && span.rate(read);
    say("requests-now", rateText(rate(answered)));
    say("gil-wait", loadText(rate((figures) => figures.gil_wait.sum)));
    say("cpu-application", loadText(rate((figures) => figures.cpu.application)));
    say("cpu-user", loadText(rate((figures) => figures.cpu.user)));
    say("cpu-system", loadText(rate((figures) => figures.cpu.system)));
    say("bytes-sent", bytesText(rate((figures) => figures.bytes.sent)));
    say("bytes-received", bytesText(rate((figures) => figures.bytes.received)));
    say("handshakes", rateText(rate((figures) => figures.tls.handshakes)));
    say("handshakes-failed", rateText(rate((figures) => figures.tls.failed)));
  }

  updateSpreads(span, bounds) {
    const spread = (name, of, share) =>
      span ? percentileText(span.counts(name), of, share) : NOTHING;
    say("p50", spread("duration", bounds.requests, 0.5));
    say("p90", spread("duration", bounds.requests, 0.9));
    say("p99", spread("duration", bounds.requests, 0.99));
    say("queue-p99", spread("queue_wait", bounds.waits, 0.99));
    say("gil-p99", spread("gil_wait", bounds.waits, 0.99));
    say("failed-share", shareText(span && ratio(span.growth(failed), span.growth(answered))));
    say("gil-share", shareText(span && gilShare(span)));
  }

  updateQueue({ workers }) {
    say("in-flight", countText(total(workers, (each) => each.in_flight)));
    say("queue-length", countText(total(workers, (each) => each.queue)));
    say("queue-oldest", durationText(Math.max(0, ...workers.map((each) => each.oldest))));
  }

  updateConnections({ workers }) {
    for (const name of ["open", "http1", "http2", "http3", "websockets"]) {
      say(name, countText(total(workers, (each) => each.connections[name])));
    }
  }

  updateWorkers({ workers, wanted }) {
    const all = total(workers, (each) => sum(Object.values(each.threads)));
    const idle = total(workers, (each) => each.threads.idle);
    say("workers-here", countText(workers.length));
    say("workers-wanted", `of ${countText(wanted)}`);
    say("threads-busy", `${countText(all - idle)} of ${countText(all)}`);
    say("memory", bytesText(total(workers, (each) => each.rss)));
  }
}

/** Of the time that worker threads had requests or waited for the GIL, what they waited for it. */
function gilShare(span) {
  const waited = span.growth((figures) => figures.gil_wait.sum);
  return ratio(waited, waited + span.growth((figures) => figures.application.sum));
}

function ratio(part, all) {
  return all > 0 ? part / all : null;
}

function total(workers, read) {
  return sum(workers.map(read));
}

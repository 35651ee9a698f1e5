/* The worker processes, a row for each. */

/** Seconds without a request taken or ended, while all threads are busy, that are worth a word:
    for a moment that is so again and again. */
const STUCK = 1;

class Workers {
  constructor() {
    this.rows = new Rows(document.querySelector("#workers tbody"), makeWorkerRow);
  }

  update({ workers }) {
    this.rows.update(workers, (each) => each.worker, fillWorker);
  }
}

function makeWorkerRow() {
  const cells = ["", "wide", ...Array(13).fill("number")].map((className) =>
    make("td", { className }),
  );
  return { element: make("tr", { children: cells }), cells };
}

function fillWorker(row, worker) {
  const { connections, threads } = worker;
  const counts = [
    worker.queue,
    worker.in_flight,
    connections.http1,
    connections.http2,
    connections.http3,
    connections.websockets,
    threads.idle,
    threads.waiting_for_gil,
    threads.running,
    threads.waiting_for_client,
    threads.long_lived,
    threads.stuck,
  ];
  setIs(row.element, worker.stalled >= STUCK ? "bad" : "");
  const texts = [String(worker.worker), workerState(worker), bytesText(worker.rss)];
  [...texts, ...counts.map(countText)].forEach((text, place) => setText(row.cells[place], text));
}

function workerState({ stalled }) {
  return stalled >= STUCK ? `stuck ${durationText(stalled)}` : "serves";
}

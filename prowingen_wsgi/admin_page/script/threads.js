/* What each thread does now. A row is a thread's for as long as that works now and then: while
   requests are short, rows change and do not move. */

/** Seconds without any request after which a thread has no row any more. */
const REST = 30;
const MOST_ROWS = 256;

const STATES = {
  running: "runs",
  waiting_for_client: "waits for client",
  long_lived: "long-lived",
  stuck: "stuck",
};

class Threads {
  constructor(history, details) {
    this.history = history;
    this.details = details;
    this.filter = "";
    this.known = new Map(); // threads by worker and ident, each with what it does or did
    this.rows = new Rows(document.querySelector("#threads tbody"), (key) => this.makeRow(key));
  }

  forget() {
    this.known.clear();
  }

  /** Of all figures, those that are not drawn too. */
  take({ at, workers }) {
    for (const each of this.known.values()) each.doing = null;
    for (const worker of workers) {
      for (const doing of worker.doing) {
        const key = `${worker.worker} ${doing.ident}`;
        this.known.set(key, { key, worker: worker.worker, doing, request: doing.request, at });
      }
    }
    const pids = new Set(workers.map((each) => each.worker));
    for (const [key, each] of this.known) {
      if (!pids.has(each.worker) || at - each.at > REST) this.known.delete(key);
    }
  }

  update() {
    const threads = [...this.known.values()]
      .sort((one, other) => one.worker - other.worker)
      .filter((each) => this.isMeant(each))
      .slice(0, MOST_ROWS);
    this.rows.update(threads, (each) => each.key, fillThread);
    const busy = threads.filter((each) => each.doing).length;
    say("threads-count", this.filter ? `${busy} match` : `${busy} busy`);
  }

  isMeant({ doing, request }) {
    if (!this.filter) return true;
    return doing !== null && matches(request, this.filter);
  }

  makeRow(key) {
    const cells = ["pid", "doing", "request", "number", "deadline", "act"].map((className) =>
      make("td", { className }),
    );
    const bar = make("span");
    const left = make("span", { className: "left", children: [bar] });
    const deadline = make("span");
    const row = { element: make("tr", { children: cells }), cells, left, bar, deadline };
    cells[4].append(left, deadline);
    row.button = button("stack", "", () => this.openStack(key));
    cells[5].append(row.button);
    return row;
  }

  openStack(key) {
    const each = this.known.get(key);
    if (each)
      this.details.showStack(each.worker, each.doing ?? { ident: identOf(key), request: "" });
  }
}

function identOf(key) {
  return Number(key.split(" ")[1]);
}

function fillThread(row, { worker, doing, key }) {
  const [pid, state, request, age] = row.cells;
  setIs(row.element, doing ? doing.state : "idle");
  setText(pid, String(worker));
  setText(state, doing ? (STATES[doing.state] ?? words(doing.state)) : "idle");
  setText(request, doing ? lineText(doing.request) : "");
  setText(age, doing ? durationText(doing.seconds) : "");
  fillDeadline(row, doing);
  const label = `Stack of thread ${identOf(key)} of worker ${worker}`;
  if (row.button.ariaLabel !== label) row.button.ariaLabel = label;
}

/** The bar is what is left of all the time that the request was given. */
function fillDeadline(row, doing) {
  const left = doing?.deadline ?? null;
  row.left.hidden = left === null;
  if (left === null) return setText(row.deadline, "");
  setText(row.deadline, left > 0 ? durationText(left) : "over");
  const share = Math.max(left, 0) / (Math.max(left, 0) + doing.seconds || 1);
  setIs(row.left, share < 0.2 ? "late" : "");
  row.bar.style.transform = `scaleX(${share.toFixed(2)})`;
}

function matches(request, filter) {
  return request.toLowerCase().includes(filter);
}

/** The slowest requests of the last minute, as the server has them: slowest first. */
class Slowest {
  constructor(details) {
    this.details = details;
    this.filter = "";
    this.requests = [];
    this.rows = new Rows(document.querySelector("#slowest tbody"), () => this.makeRow());
  }

  take({ requests }) {
    this.requests = requests;
  }

  update() {
    const meant = this.requests.filter((each) => matches(each.request, this.filter));
    let place = 0;
    this.rows.update(meant, () => place++, fillSlow);
  }

  makeRow() {
    const cells = ["number", "request", "status", "number", "act"].map((className) =>
      make("td", { className }),
    );
    const row = { element: make("tr", { children: cells }), cells, slow: null };
    row.button = button("more", "", () => this.details.showRequest(row.slow));
    cells[4].append(row.button);
    return row;
  }
}

function fillSlow(row, slow) {
  const [took, request, status, ago] = row.cells;
  row.slow = slow;
  const isBad = slow.status >= 500 || !slow.complete;
  setIs(row.element, isBad ? "bad" : "");
  setText(took, durationText(slow.seconds));
  setText(request, lineText(slow.request));
  setText(status, `${slow.status || NOTHING}${slow.complete ? "" : " cut"}`);
  setText(ago, `${countText(slow.ago)} s`);
  const label = `More of the request that took ${durationText(slow.seconds)}`;
  if (row.button.ariaLabel !== label) row.button.ariaLabel = label;
}

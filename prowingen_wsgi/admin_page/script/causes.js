/* What the server refused, rejected and cut, and why worker processes ended. */

const KINDS = {
  refusals: "refused, by the server",
  rejections: "rejected, without a thread",
  cut: "cut, before all was sent",
  worker_ends: "workers that ended",
};

class Causes {
  constructor(history) {
    this.history = history;
    this.shown = null;
    this.rows = new Rows(document.querySelector("#causes tbody"), makeCauseRow);
  }

  update() {
    const { last, now } = this.history;
    if (this.shown === now) return;
    this.shown = now;
    const lines = CAUSES.flatMap((kind) => [
      { kind, cause: "", count: null },
      ...Object.entries(last[kind]).map(([cause, count]) => ({ kind, cause, count })),
    ]);
    this.rows.update(lines, keyOfCause, (row, line) => this.fill(row, line));
  }

  fill(row, { kind, cause, count }) {
    const [name, recently, inAll] = row.cells;
    if (count === null) return setText(name, KINDS[kind]);
    setText(name, words(cause));
    setText(recently, countText(this.history.recentlyOf(keyOfCause({ kind, cause }))));
    return setText(inAll, countText(count));
  }
}

function keyOfCause({ kind, cause }) {
  return `${kind}/${cause}`;
}

function makeCauseRow(key) {
  if (!key.endsWith("/")) {
    const cells = ["", "number", "number"].map((className) => make("td", { className }));
    return { element: make("tr", { children: cells }), cells };
  }
  const head = make("th");
  head.colSpan = 3;
  head.scope = "rowgroup";
  const element = make("tr", { children: [head] });
  setIs(element, "group");
  return { element, cells: [head] };
}

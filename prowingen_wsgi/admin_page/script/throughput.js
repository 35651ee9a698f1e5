/* Requests a second over two minutes, and below them those that failed, on a scale of their own
   that the three share. */

class Throughput {
  constructor(history) {
    this.history = history;
    this.canvases = [
      new Canvas(byId("throughput"), (...place) => this.drawRequests(...place)),
      ...ERRORS.map(
        (kind) => new Canvas(byId(`errors-${kind}`), (...place) => this.drawErrors(kind, ...place)),
      ),
    ];
    this.shown = null;
  }

  update() {
    this.updateRates();
    if (this.shown === this.history.now) return;
    this.shown = this.history.now;
    this.refresh();
  }

  refresh() {
    this.mostRequests = this.scale((column) => column.requests);
    this.mostErrors = this.scale((column) => Math.max(...Object.values(column.errors)));
    say("throughput-most", `scale to ${short.format(this.mostRequests)}`);
    for (const each of this.canvases) each.refresh();
  }

  updateRates() {
    const span = this.history.span(1);
    for (const kind of ERRORS) {
      const rate = span && span.rate((figures) => figures.requests.statuses[kind] ?? 0);
      say(`rate-${kind}`, rate === null ? NOTHING : `${rateText(rate)} /s`);
    }
  }

  scale(read) {
    const rates = [...this.history.wholeSeconds()].map(([each]) => read(each) / each.covers);
    return roundUp(Math.max(1, ...rates));
  }

  drawRequests(context, width, height) {
    const heightOf = (column) =>
      (column.requests / column.covers / this.mostRequests) * (height - 2);
    context.strokeStyle = colour("edge");
    for (const line of [0, 0.5, 1]) {
      context.beginPath();
      context.moveTo(0, 1 + line * (height - 2));
      context.lineTo(width, 1 + line * (height - 2));
      context.stroke();
    }
    context.fillStyle = colour("area");
    this.bars(context, width, height, heightOf);
    context.fillStyle = colour("strong");
    this.bars(context, width, height, heightOf, 2);
  }

  drawErrors(kind, context, width, height) {
    context.fillStyle = colour({ "4xx": "warn", "5xx": "bad", none: "lost" }[kind]);
    this.bars(context, width, height, (column) => {
      const rate = column.errors[kind] / column.covers / this.mostErrors;
      return rate && Math.max(rate * height, 2); // a single one is to be seen
    });
  }

  /** One for each second; thickness: of its upper edge alone. */
  bars(context, width, height, heightOf, thickness = null) {
    const step = width / COLUMNS;
    for (const [column, place] of this.history.wholeSeconds()) {
      const tall = heightOf(column);
      // Edges on whole pixels, or there would be seams.
      const from = Math.round(place * step);
      context.fillRect(
        from,
        height - tall,
        Math.round((place + 1) * step) - from,
        thickness ?? tall,
      );
    }
  }
}

/* Durations over two minutes: a column is a second, a row a bucket, and how dark a cell is says how
   many requests it has, on a logarithmic scale. A cell tells its figures to the pointer, and to the
   arrow keys. */

const SHADES = 5;

class HeatMap {
  constructor(history) {
    this.history = history;
    this.bounds = [];
    this.shown = null;
    this.most = 1;
    this.cell = null;
    this.tip = byId("heat-tip");
    this.canvas = new Canvas(byId("heat"), (...place) => this.draw(...place));
    this.legend = new Canvas(byId("heat-legend"), drawLegend);
    const { element } = this.canvas;
    element.addEventListener("pointermove", (event) => this.point(event));
    element.addEventListener("pointerleave", () => this.look(null));
    element.addEventListener("blur", () => this.look(null));
    element.addEventListener("keydown", (event) => this.step(event));
  }

  update() {
    if (this.shown === this.history.now) return;
    this.shown = this.history.now;
    this.refresh();
    this.look(this.cell);
  }

  refresh() {
    const most = Math.max(...[...this.history.wholeSeconds()].flatMap(([each]) => each.counts), 1);
    this.most = roundUp(most);
    say("heat-most", short.format(this.most));
    this.canvas.refresh();
    this.legend.refresh();
  }

  get rows() {
    return this.bounds.length + 1;
  }

  draw(context, width, height) {
    const labels = this.drawLabels(context, height);
    this.left = labels;
    const across = (width - labels) / COLUMNS;
    const down = height / this.rows;
    const shades = shadesOf(this.most);
    for (const [column, place] of this.history.wholeSeconds()) {
      const from = Math.round(labels + place * across);
      const wide = Math.max(Math.round(labels + (place + 1) * across) - from - 1, 1);
      column.counts.forEach((count, bucket) => {
        if (count <= 0) return;
        context.fillStyle = shades(count);
        const top = Math.round((this.rows - 1 - bucket) * down);
        context.fillRect(from, top, wide, Math.round((this.rows - bucket) * down) - top - 1);
      });
    }
    this.drawCell(context, across, down);
  }

  /** Beside the lines between buckets, fastest at the bottom. Returns their width. */
  drawLabels(context, height) {
    const { font, size } = fontOf(document.body);
    const labels = size * 4.8;
    context.font = font;
    context.textAlign = "right";
    context.textBaseline = "middle";
    this.bounds.forEach((bound, bucket) => {
      const y = Math.round(((this.rows - 1 - bucket) * height) / this.rows) - 0.5;
      context.fillStyle = colour("edge");
      context.fillRect(labels, y, context.canvas.width, 0.5);
      if (bucket % 2) return;
      context.fillStyle = colour("faint");
      context.fillText(boundText(bound), labels - 6, y);
    });
    return labels;
  }

  drawCell(context, across, down) {
    if (!this.cell) return;
    const { place, bucket } = this.cell;
    context.strokeStyle = colour("text");
    context.lineWidth = 1.5;
    context.strokeRect(this.left + place * across, (this.rows - 1 - bucket) * down, across, down);
  }

  // ---- one cell

  point(event) {
    const { width, height } = this.canvas;
    const place = Math.floor(((event.offsetX - this.left) / (width - this.left)) * COLUMNS);
    const bucket = this.rows - 1 - Math.floor((event.offsetY / height) * this.rows);
    this.look(place < 0 || bucket < 0 ? null : { place, bucket });
    this.canvas.refresh();
  }

  step(event) {
    const [right, up] =
      { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key] ??
      [];
    if (right === undefined) return;
    event.preventDefault();
    const from = this.cell ?? { place: COLUMNS, bucket: 0 };
    this.look({
      place: clamp(from.place + right, 0, COLUMNS - 1),
      bucket: clamp(from.bucket + up, 0, this.rows - 1),
    });
    this.canvas.element.setAttribute("aria-label", this.tip.textContent);
    this.canvas.refresh();
  }

  look(cell) {
    this.cell = cell;
    this.tip.hidden = !cell;
    if (!cell) return;
    const second = this.history.now - COLUMNS + cell.place;
    const column = this.history.column(second);
    const count = column ? `${countText(column.counts[cell.bucket])} requests` : "nothing is known";
    const ago = this.history.now - second;
    setText(this.tip, `${bucketText(this.bounds, cell.bucket)}, ${ago} s ago: ${count}`);
    this.placeTip(cell);
  }

  /** Above the cell or below it, and inside of the panel. */
  placeTip({ place, bucket }) {
    const { width, height } = this.canvas;
    const x = this.left + ((width - this.left) * place) / COLUMNS;
    const y = (height * (this.rows - 1 - bucket)) / this.rows;
    const { offsetWidth, offsetHeight } = this.tip;
    const above = y - offsetHeight - 6;
    const top = above >= 0 ? above : y + height / this.rows + 6;
    const left = clamp(x - offsetWidth / 2, 0, width - offsetWidth);
    this.tip.style.transform = `translate(${left}px, ${top}px)`;
  }
}

function shadesOf(most) {
  const stops = Array.from({ length: SHADES }, (_, i) => channels(colour(`heat-${i}`)));
  return (count) => {
    const heat = most > 1 ? Math.log(count) / Math.log(most) : 1;
    const place = clamp(heat, 0, 1) * (SHADES - 1);
    const below = Math.min(Math.floor(place), SHADES - 2);
    const mixed = stops[below].map(
      (from, i) => from + (stops[below + 1][i] - from) * (place - below),
    );
    return `rgb(${mixed.map(Math.round).join(" ")})`;
  };
}

function channels(rgb) {
  return rgb
    .match(/[\d.]+/g)
    .slice(0, 3)
    .map(Number);
}

function drawLegend(context, width, height) {
  const shades = shadesOf(Math.E);
  for (let x = 0; x < width; x++) {
    context.fillStyle = shades(Math.exp(x / width));
    context.fillRect(x, 0, 1, height);
  }
}

function clamp(number, least, most) {
  return Math.min(Math.max(number, least), most);
}

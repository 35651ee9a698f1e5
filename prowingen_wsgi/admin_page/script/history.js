/* What the figures were. The server tells sums since it began; here they become differences: over
   the last seconds, and of each second of the last two minutes.

   Sums that fall are those of another server: then all begins anew. Who was not connected for a
   while has a gap, rather than one second in which everything happened. */

const COLUMNS = 120;
/** Seconds for which whole figures are kept. */
const RECENT = 11;
const GAP = 2;

const ERRORS = ["4xx", "5xx", "none"];
const CAUSES = ["refusals", "rejections", "cut", "worker_ends"];

class History {
  constructor() {
    this.forget();
  }

  forget() {
    this.recent = [];
    this.columns = [];
  }

  get last() {
    return this.recent.at(-1) ?? null;
  }

  take(figures) {
    const before = this.last;
    if (before && isOfAnotherServer(before, figures)) this.forget();
    else if (before && figures.at - before.at > GAP) this.recent = [];
    else if (before) this.addTo(before, figures);
    this.recent.push(figures);
    // One that is older than the longest span, so that all of that is covered.
    while (this.recent.length > 2 && this.recent[1].at < figures.at - RECENT) this.recent.shift();
  }

  /** What came between two figures belongs to the second of the later one. */
  addTo(before, after) {
    const second = Math.floor(after.at);
    let column = this.columns.at(-1);
    if (column?.second !== second) {
      column = emptyColumn(second, after);
      this.columns.push(column);
    }
    column.covers += after.at - before.at;
    column.requests += answered(after) - answered(before);
    for (const kind of ERRORS) {
      column.errors[kind] +=
        (after.requests.statuses[kind] ?? 0) - (before.requests.statuses[kind] ?? 0);
    }
    after.duration.counts.forEach((count, bucket) => {
      column.counts[bucket] += count - before.duration.counts[bucket];
    });
    for (const [cause, count] of causesOf(after)) {
      column.causes[cause] = (column.causes[cause] ?? 0) + count - countOf(before, cause);
    }
    this.columns = this.columns.filter((each) => each.second >= second - COLUMNS);
  }

  /** The second that is going on, and so the first one that is not drawn yet. */
  get now() {
    return this.last ? Math.floor(this.last.at) : 0;
  }

  /** Of a second that is over; undefined: nothing is known of it. */
  column(second) {
    return this.columns.find((each) => each.second === second);
  }

  /** The whole seconds of two minutes, each with how many columns it is from the left. */
  *wholeSeconds() {
    for (const column of this.columns) {
      const place = column.second - (this.now - COLUMNS);
      if (place >= 0 && place < COLUMNS) yield [column, place];
    }
  }

  /** The differences over so many seconds, or as many of them as there are; null: there are none. */
  span(seconds) {
    const to = this.last;
    // A little less: figures come about ten times a second, not exactly.
    const from =
      this.recent.findLast((each) => each.at <= to.at - seconds + 0.02) ?? this.recent[0];
    return from && to.at > from.at ? new Span(from, to) : null;
  }

  /** How often this was a cause in the last two minutes. */
  recentlyOf(cause) {
    return sum(this.columns.map((each) => each.causes[cause] ?? 0));
  }
}

class Span {
  constructor(from, to) {
    this.from = from;
    this.to = to;
    this.seconds = to.at - from.at;
  }

  /** How much what `read` reads grew. */
  growth(read) {
    return Math.max(read(this.to) - read(this.from), 0);
  }

  rate(read) {
    return this.growth(read) / this.seconds;
  }

  /** Of a histogram, by its name. */
  counts(name) {
    return this.to[name].counts.map((count, i) => Math.max(count - this.from[name].counts[i], 0));
  }
}

function emptyColumn(second, figures) {
  return {
    second,
    covers: 0,
    requests: 0,
    errors: Object.fromEntries(ERRORS.map((kind) => [kind, 0])),
    counts: figures.duration.counts.map(() => 0),
    causes: {},
  };
}

function answered(figures) {
  return sum(Object.values(figures.requests.statuses));
}

function failed(figures) {
  const { statuses } = figures.requests;
  return (statuses["5xx"] ?? 0) + (statuses.none ?? 0);
}

/** All causes of a kind of trouble, as "kind/cause", each with its count. */
function causesOf(figures) {
  return CAUSES.flatMap((kind) =>
    Object.entries(figures[kind]).map(([cause, count]) => [`${kind}/${cause}`, count]),
  );
}

function countOf(figures, cause) {
  const [kind, name] = cause.split("/");
  return figures[kind][name] ?? 0;
}

/** Whole numbers alone are compared: those of seconds are read from clocks of threads, which end. */
function isOfAnotherServer(before, after) {
  const falls = (read) => read(after) < read(before);
  return (
    falls((figures) => figures.at) ||
    falls(answered) ||
    falls((figures) => figures.bytes.received) ||
    falls((figures) => figures.bytes.sent) ||
    before.duration.counts.length !== after.duration.counts.length ||
    before.duration.counts.some((count, bucket) => after.duration.counts[bucket] < count) ||
    CAUSES.some((kind) =>
      Object.entries(before[kind]).some(([cause, count]) => (after[kind][cause] ?? 0) < count),
    )
  );
}

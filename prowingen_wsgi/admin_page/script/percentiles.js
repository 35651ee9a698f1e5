/* What histograms tell. `counts` has one number for each bucket, `bounds` their upper ends in
   seconds; the last bucket has none, and so counts are one more than bounds. */

/** Interpolated in its bucket, as Prometheus does it. Null: there was nothing. Infinity: beyond the
    last bound. */
function percentile(counts, bounds, share) {
  const rank = share * sum(counts);
  let below = 0;
  for (const [bucket, count] of counts.entries()) {
    if (count > 0 && below + count >= rank) {
      if (bucket === bounds.length) return Infinity;
      const from = bucket === 0 ? 0 : bounds[bucket - 1];
      return from + (bounds[bucket] - from) * ((rank - below) / count);
    }
    below += count;
  }
  return null;
}

function percentileText(counts, bounds, share) {
  const seconds = percentile(counts, bounds, share);
  if (seconds === null) return NOTHING;
  return seconds === Infinity ? `≥ ${boundText(bounds.at(-1))}` : durationText(seconds);
}

function bucketText(bounds, bucket) {
  if (bucket === bounds.length) return `≥ ${boundText(bounds.at(-1))}`;
  const from = bucket === 0 ? "0" : boundText(bounds[bucket - 1]);
  return `${from} – ${boundText(bounds[bucket])}`;
}

function sum(numbers) {
  return numbers.reduce((all, each) => all + each, 0);
}

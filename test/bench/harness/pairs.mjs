/**
 * Compares two parties round by round, so that what changes on the machine between rounds cancels out.
 *
 * @param {object[]} list results of one party, a round each
 * @param {object[]} base results of the other, of the same rounds
 * @param {string} field
 * @returns {{ median: number, low: number, high: number } | undefined} with the quartiles
 */
export function pairsOf(list, base, field) {
  const ratios = list.flatMap((result, round) => (base[round] ? [result[field] / base[round][field]] : []));
  if (ratios.length === 0) return undefined;
  ratios.sort((a, b) => a - b);
  const at = (share) => {
    const place = (ratios.length - 1) * share;
    const [below, above] = [ratios[Math.floor(place)], ratios[Math.ceil(place)]];
    return below + (above - below) * (place - Math.floor(place));
  };
  return { median: at(0.5), low: at(0.25), high: at(0.75) };
}

/**
 * Runs `count` operations, `width` at a time: each that ends makes room for the next.
 *
 * @param {number} width
 * @param {number} count
 * @param {(index: number) => Promise<unknown>} operation
 */
export async function inFlight(width, count, operation) {
  let next = 0;
  const lane = async () => {
    while (next < count) await operation(next++);
  };
  await Promise.all(Array.from({ length: width }, lane));
}

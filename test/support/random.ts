/** SESSION_TEST_SEED repeats a run. */
export const seed = Number(process.env.SESSION_TEST_SEED ?? Date.now() % 2 ** 31);

/** Numbers from 0 to 1, the same for the same seed. */
export function randomFrom(start: number): () => number {
  let state = start >>> 0 || 1;
  return () => {
    // xorshift32
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    state >>>= 0;
    return state / 2 ** 32;
  };
}

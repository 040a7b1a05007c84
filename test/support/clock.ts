import { afterEach, vi } from "vitest";

afterEach(() => {
  vi.useRealTimers();
});

/** Stops this process's clock until a test moves it, for the rest of the test. The server's clock goes on. */
export function stopClock(): { advance(ms: number): void; advanceTo(time: number): void } {
  vi.useFakeTimers({ toFake: ["Date"] });
  const advanceTo = (time: number) => void vi.setSystemTime(time);
  return { advance: (ms) => advanceTo(Date.now() + ms), advanceTo };
}

import { startClient } from "./harness/client-process.mjs";
import { printProfile } from "./harness/profile.mjs";
import { atMost, rounded } from "./harness/report.mjs";
import { median } from "./harness/rounds.mjs";

const FEW = 1000;

/** Issue A: listing and counting many sessions. */
export async function measure(servers, { sessions, rounds, operations, profile }) {
  const { url } = await servers.start("nats");
  const start = async (bucket, count) => {
    const settings = { url, bucket, sessions: count };
    const filler = await startClient("filler", { file: "listing.mjs", settings });
    await filler.call("fill");
    await filler.stop();
    return startClient(bucket, { file: "listing.mjs", settings, profile });
  };
  const few = await start("few", FEW);
  const many = await start("many", sessions);
  const growth = await many.call("growth");

  const counting = { few: [], many: [] };
  for (let round = 0; round <= rounds; round++) {
    const times = { few: await few.call("count", operations), many: await many.call("count", operations) };
    if (round > 0) for (const size of ["few", "many"]) counting[size].push(times[size]);
  }
  const times = { all: [], handles: [], exact: [] };
  for (let round = 0; round < Math.min(3, rounds); round++) {
    for (const method of Object.keys(times)) times[method].push(await many.call(method));
  }
  await Promise.all([few.stop(), many.stop()]);
  if (many.profile) await printProfile("listing", many.profile);

  const [countFew, countMany] = [median(counting.few), median(counting.many)];
  const seconds = (list) => ({
    "s/call": rounded(median(list) / 1000),
    "sessions/s": perSecond(sessions, list),
  });
  return {
    medians: {
      [`count(), ${FEW} sessions`]: { "ms/call": rounded(countFew) },
      [`count(), ${sessions} sessions`]: { "ms/call": rounded(countMany) },
      "count({ exact: true })": seconds(times.exact),
      "all()": seconds(times.all),
      "handles()": seconds(times.handles),
    },
    figures: [
      atMost(50, "MB of heap and buffers more after all()", growth.after),
      atMost(50, "MB of heap and buffers more at most during all()", growth.most),
      atMost(1.5, `count() of ${sessions} sessions / of ${FEW}`, countMany / countFew),
    ],
  };
}

function perSecond(sessions, times) {
  return Math.round(sessions / (median(times) / 1000));
}

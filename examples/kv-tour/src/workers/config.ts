// Arguments: server, bucket. Tells every change of the configuration, and sets what it is sent as `key=json`.
import { Config } from "../config.js";
import { connectWorker, onLine, tell } from "./process.js";

const config = await Config.open<Record<string, unknown>>(await connectWorker(), {
  bucket: process.argv[3] ?? "",
  defaults: {},
  onError: (error) => tell(`error: ${error.message}`),
});
config.onChange((key, value) => tell(`${key} is now ${JSON.stringify(value)}`));
onLine((line) => {
  const [, key = "", json = ""] = /^(.*?)=(.*)$/.exec(line) ?? [];
  void config.set(key, JSON.parse(json));
});
tell(`ready ${JSON.stringify(config.getAll())}`);

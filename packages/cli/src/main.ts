#!/usr/bin/env node
import { runCli } from "./cli.js";

// Not by `process.exitCode`: a connection that cannot be closed must not keep the program.
process.exit(await runCli(process.argv.slice(2), process.env));

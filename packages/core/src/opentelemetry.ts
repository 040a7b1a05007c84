export { type InstrumentOptions, instrument } from "./telemetry/instrument.js";

/** What the dashboard's page runs before its own script: `echarts`, a global variable. */
import { init } from "./echarts.ts";

Object.assign(globalThis, { echarts: { init } });

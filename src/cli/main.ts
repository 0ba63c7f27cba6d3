#!/usr/bin/env node
import { collectRarely } from "../run/heap.ts";
import { runCommandLine } from "./program.ts";
import { processShell } from "./shell.ts";

collectRarely();
process.exitCode = await runCommandLine(process.argv.slice(2), processShell());

import { locateModel } from "../../src/hub/locate.ts";

/** @file Finds a model in a process of its own, and prints its folder. */

process.stdout.write((await locateModel(process.argv[2]!)).folder);

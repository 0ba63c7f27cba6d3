/**
 * @file Loaded before a process's own code (node --import): follows what it does to files below a folder, and ends or fails at
 * one of these operations. Set by the environment: DISK_UNDER the folder; DISK_TRACE a file that gets a line for each
 * operation; DISK_KILL_AT the number, from 1, of an operation in whose middle the process is killed; DISK_FAIL_AT that of
 * one which fails with DISK_CODE, as do all after it that write.
 */
import fs, { promises } from "node:fs";
import { syncBuiltinESMExports } from "node:module";
import { resolve } from "node:path";

const { DISK_UNDER, DISK_TRACE, DISK_KILL_AT, DISK_FAIL_AT, DISK_CODE = "ENOSPC" } = process.env;
const paths = new Map();
const { appendFileSync } = fs;
const writeSync = fs.writeSync;
let count = 0;

/** Follows an operation, unless it is elsewhere. @param half does the first half of it, where there is one. */
function watch(operation, path, half) {
  if (typeof path !== "string" || !resolve(path).startsWith(DISK_UNDER) || path === DISK_TRACE) return;
  count++;
  if (DISK_TRACE) appendFileSync(DISK_TRACE, `${JSON.stringify([operation, resolve(path)])}\n`);
  if (count === Number(DISK_KILL_AT)) {
    half?.();
    process.kill(process.pid, "SIGKILL");
    for (;;); // It is dead.
  }
  const isWrite = !["rm", "rename", "fsync"].includes(operation);
  if (count === Number(DISK_FAIL_AT) || (count > Number(DISK_FAIL_AT) && isWrite)) {
    throw Object.assign(new Error(`${DISK_CODE}: injected, ${operation} '${path}'`), {
      code: DISK_CODE,
      syscall: operation,
      path,
    });
  }
}

const change = (target, name, make) => {
  target[name] = make(target[name].bind(target));
};

change(fs, "openSync", (open) => (path, flags, ...rest) => {
  if (flags !== undefined && flags !== "r") watch("open", path);
  const file = open(path, flags, ...rest);
  paths.set(file, path);
  return file;
});
change(fs, "writeSync", (write) => (file, data, ...rest) => {
  watch("write", paths.get(file), () => writeSync(file, data.slice(0, data.length / 2)));
  return write(file, data, ...rest);
});
change(fs, "writeFileSync", (write) => (file, data, ...rest) => {
  const path = typeof file === "number" ? paths.get(file) : file;
  watch("write", path, () => {
    if (typeof file === "number") writeSync(file, data.slice(0, data.length / 2));
  });
  return write(file, data, ...rest);
});
change(fs, "fsyncSync", (sync) => (file) => {
  watch("fsync", paths.get(file));
  return sync(file);
});
for (const [name, operation] of [
  ["rmSync", "rm"],
  ["rmdirSync", "rm"],
  ["mkdirSync", "mkdir"],
  ["truncateSync", "truncate"],
]) {
  change(fs, name, (work) => (path, ...rest) => {
    watch(operation, path);
    return work(path, ...rest);
  });
}
for (const [name, operation] of [
  ["renameSync", "rename"],
  ["linkSync", "link"],
  ["copyFileSync", "copy"],
]) {
  change(fs, name, (work) => (from, to, ...rest) => {
    watch(operation, to);
    return work(from, to, ...rest);
  });
}
change(promises, "rm", (rm) => async (path, ...rest) => {
  watch("rm", path);
  return rm(path, ...rest);
});
change(promises, "mkdir", (mkdir) => async (path, ...rest) => {
  watch("mkdir", path);
  return mkdir(path, ...rest);
});
change(promises, "rename", (rename) => async (from, to) => {
  watch("rename", to);
  return rename(from, to);
});
change(promises, "open", (open) => async (path, flags, ...rest) => {
  if (flags !== undefined && flags !== "r") watch("open", path);
  const file = await open(path, flags, ...rest);
  change(file, "writeFile", (write) => async (data, ...more) => {
    watch("write", path, () => writeSync(file.fd, data.slice(0, data.length / 2)));
    return write(data, ...more);
  });
  change(file, "sync", (sync) => async () => {
    watch("fsync", path);
    return sync();
  });
  return file;
});
syncBuiltinESMExports();

/** Child processes of the npm scripts: signals reach them, their outcome becomes ours, and none is left behind. */
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { constants } from 'node:os';

const FORWARDED = ['SIGINT', 'SIGTERM', 'SIGHUP'];
const WATCH_MS = 500;

/** An end with one sentence for a person. */
export class Failure extends Error {
  constructor(message, exitCode = 1) {
    super(message);
    this.exitCode = exitCode;
  }
}

/**
 * Runs a command to its end.
 * @returns its exit code; 128 + N when signal N ended it, as shells say it.
 * @throws Failure when it cannot be started.
 */
export function run(command, parameters, options) {
  return new Promise((done, fail) => {
    const child = spawn(command, parameters, options);
    const forward = (signal) => child.kill(signal);
    for (const signal of FORWARDED) process.on(signal, forward);
    const stopWatching = whenNpmDies(() => child.kill('SIGTERM'));
    const settle = () => {
      for (const signal of FORWARDED) process.off(signal, forward);
      stopWatching();
    };
    child.once('error', (error) => {
      settle();
      fail(new Failure(`${command} cannot be started: ${error.message}`));
    });
    child.once('exit', (code, signal) => {
      settle();
      done(code ?? 128 + constants.signals[signal]);
    });
  });
}

/** This process and those between it and npm, npm last; nothing where no npm started it. Found at the start, while all of them live. */
const wayToNpm = findNpm();

/**
 * A killed npm cannot pass its end on, and its script would go on unseen. Only the way up to npm is
 * watched: a script started with nohup, or without npm, must survive its shell.
 */
function whenNpmDies(end) {
  if (wayToNpm.length === 0) return () => undefined;
  const timer = setInterval(() => {
    if (wayToNpm.slice(1).every((pid, index) => parentOf(wayToNpm[index]) === pid)) return;
    clearInterval(timer);
    end();
  }, WATCH_MS);
  timer.unref();
  return () => clearInterval(timer);
}

function findNpm() {
  const way = [process.pid];
  // npm, perhaps a shell, this.
  while (way.length < 4) {
    way.push(parentOf(way.at(-1)));
    if (procFile(way.at(-1), 'comm').startsWith('npm')) return way;
  }
  return [];
}

/** 0, which is nobody, for a process that is gone. */
function parentOf(pid) {
  return Number(/^PPid:\s+(\d+)$/m.exec(procFile(pid, 'status'))?.[1] ?? 0);
}

function procFile(pid, name) {
  try {
    return readFileSync(`/proc/${pid}/${name}`, 'utf8');
  } catch {
    return '';
  }
}

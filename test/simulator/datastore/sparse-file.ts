import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { open, stat } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import type { Socket } from 'node:net';
import { normalizeExtents, type Extent } from '../../../src/disk/index.js';

// node offers neither lseek(SEEK_DATA) nor fallocate(2). python3 is on every machine this project
// builds on, util-linux's fallocate is not. One process answers line by line, because hundreds
// of questions come with one consolidation; it ends with our end of its standard input.
const SCRIPT = `
import ctypes, json, os, sys
fallocate = ctypes.CDLL(None, use_errno=True).fallocate
fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_longlong, ctypes.c_longlong]
zero = bytes(1 << 20)

def data(fd):
    found, at, end = [], 0, os.fstat(fd).st_size
    while at < end:
        try:
            start = os.lseek(fd, at, os.SEEK_DATA)
        except OSError:
            break
        at = os.lseek(fd, start, os.SEEK_HOLE)
        found.append([start, at - start])
    return found

def punch(fd, extents):
    for start, length in extents:
        if fallocate(fd, 3, start, length) == 0:
            continue
        while length > 0:
            done = os.pwrite(fd, zero[:min(length, len(zero))], start)
            start, length = start + done, length - done

for line in sys.stdin:
    try:
        request = json.loads(line)
        fd = os.open(request["path"], os.O_RDWR if "punch" in request else os.O_RDONLY)
        try:
            answer = {"done": punch(fd, request["punch"]) if "punch" in request else data(fd)}
        finally:
            os.close(fd)
    except Exception as error:
        answer = {"error": str(error)}
    print(json.dumps(answer), flush=True)
`;

interface Answer {
  done?: [number, number][] | null;
  error?: string;
}

class SparseFileProcess {
  private readonly waiting: { resolve: (answer: Answer) => void; reject: (error: Error) => void }[] = [];
  private child: ChildProcessWithoutNullStreams | undefined;

  async ask(request: { path: string; punch?: [number, number][] }): Promise<Answer> {
    const child = this.running();
    const answer = await new Promise<Answer>((resolve, reject) => {
      this.waiting.push({ resolve, reject });
      this.hold(child, true);
      child.stdin.write(`${JSON.stringify(request)}\n`);
    });
    if (answer.error !== undefined) throw new Error(`${request.path}: ${answer.error}`);
    return answer;
  }

  private running(): ChildProcessWithoutNullStreams {
    if (this.child) return this.child;
    const child = spawn('python3', ['-c', SCRIPT]);
    this.child = child;
    const fail = (error: Error) => {
      if (this.child === child) this.child = undefined;
      for (const waiter of this.waiting.splice(0)) waiter.reject(error);
    };
    child.on('error', (error) => fail(new Error(`python3 is needed for sparse files: ${error.message}`)));
    child.on('exit', (code) => fail(new Error(`The sparse file process ended with code ${code}`)));
    child.stdin.on('error', () => undefined);
    child.stderr.resume();
    createInterface({ input: child.stdout }).on('line', (line) => {
      this.waiting.shift()?.resolve(JSON.parse(line) as Answer);
      if (this.waiting.length === 0) this.hold(child, false);
    });
    return child;
  }

  /** Idle, it must not keep our own process alive. */
  private hold(child: ChildProcessWithoutNullStreams, busy: boolean): void {
    for (const handle of [child, child.stdin as unknown as Socket, child.stdout as unknown as Socket, child.stderr as unknown as Socket]) {
      if (busy) handle.ref();
      else handle.unref();
    }
  }
}

const sparseFiles = new SparseFileProcess();

/** The extents of a file that are not holes, by lseek(SEEK_DATA). */
export async function dataExtents(path: string): Promise<Extent[]> {
  const { done } = await sparseFiles.ask({ path });
  return normalizeExtents((done ?? []).map(([offsetBytes, lengthBytes]) => ({ offsetBytes, lengthBytes })));
}

/** Makes the extents read zero and, where the file system can, frees their blocks. */
export async function punchHoles(path: string, extents: readonly Extent[]): Promise<void> {
  if (extents.length === 0) return;
  await sparseFiles.ask({ path, punch: extents.map((e) => [e.offsetBytes, e.lengthBytes]) });
}

/** Makes (or cuts to nothing) a file that is one hole. */
export async function createSparseFile(path: string, sizeBytes: number): Promise<void> {
  const file = await open(path, 'w');
  try {
    await file.truncate(sizeBytes);
  } finally {
    await file.close();
  }
}

export async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

import { createReadStream, createWriteStream } from 'node:fs';
import { rename, rm, stat } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { pipeline } from 'node:stream/promises';
import { moRef } from '../model/vim.js';
import { CutRequest, FailedRequest } from '../request-gate.js';
import { type Recorder, strike } from './fault-rules.js';
import type { VcenterCore } from './operations.js';
import { cookieOf, DroppedConnection } from './soap-endpoint.js';

interface FileReply {
  status: number;
  headers?: Record<string, string | number>;
  /** What is sent: an absolute path. */
  file?: string;
}

/** /folder/<path>?dcPath=…&dsName=…: GET, HEAD, PUT and DELETE of one file, for a session. */
export async function serveDatastoreFile(
  core: VcenterCore,
  request: IncomingMessage,
  response: ServerResponse,
  signal: AbortSignal,
  record?: Recorder,
): Promise<void> {
  const started = performance.now();
  const startedAt = new Date().toISOString();
  const url = new URL(request.url ?? '', 'https://vcenter');
  const method = `${request.method} /folder`;
  const { status, headers, file } = await gatedReply(core, request, url, method, signal);
  core.rules.log({
    door: 'vcenter',
    method,
    object: url.pathname,
    startedAt,
    ms: performance.now() - started,
    outcome: status < 400 ? 'ok' : String(status),
  });
  record?.({ door: 'vcenter', method, path: `${url.pathname}${url.search}`, status, request: '', response: '' });
  response.writeHead(status, headers);
  if (file === undefined) response.end();
  else await pipeline(createReadStream(file), response);
}

async function gatedReply(core: VcenterCore, request: IncomingMessage, url: URL, method: string, signal: AbortSignal): Promise<FileReply> {
  const session = core.sessions.find(cookieOf(request));
  if (!session) return { status: 401 };
  if (await strike(core.rules.match('vcenter', method, [url.pathname]), signal)) throw new DroppedConnection();
  try {
    const asked = { door: 'vcenter', method, object: url.pathname } as const;
    return await core.rules.gate.pass(asked, () => fileReply(core, request, url, session.userName));
  } catch (error) {
    if (error instanceof CutRequest) throw new DroppedConnection();
    if (error instanceof FailedRequest) return { status: 500 };
    throw error;
  }
}

async function fileReply(core: VcenterCore, request: IncomingMessage, url: URL, userName: string): Promise<FileReply> {
  const { state } = core.model.inventory;
  // An inventory path, with or without its first slash.
  if (url.searchParams.get('dcPath')?.replace(/^\//, '') !== state.datacenter.name) return { status: 404 };
  const datastore = core.model.inventory.dataStores.get(url.searchParams.get('dsName') ?? '');
  if (!datastore) return { status: 404 };
  if (!mayUseFiles(core, userName, url.searchParams.get('dsName') ?? '', request.method ?? '')) return { status: 403 };
  let path: string;
  try {
    path = datastore.absolute(decodeURIComponent(url.pathname.slice('/folder/'.length)));
  } catch {
    return { status: 400 };
  }
  const info = await stat(path).catch(() => undefined);
  switch (request.method) {
    case 'GET':
    case 'HEAD':
      if (!info?.isFile()) return { status: 404 };
      if (request.method === 'HEAD') return { status: 200, headers: { 'Content-Length': info.size } };
      return { status: 200, headers: { 'Content-Type': 'application/octet-stream', 'Content-Length': info.size }, file: path };
    case 'PUT':
      try {
        await pipeline(request, createWriteStream(`${path}~upload`));
        await rename(`${path}~upload`, path);
      } catch (error) {
        await rm(`${path}~upload`, { force: true });
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') return { status: 404 }; // no such folder
        throw error;
      }
      return { status: info ? 200 : 201 };
    case 'DELETE':
      if (!info) return { status: 404 };
      await rm(path, { recursive: true });
      return { status: 204 };
    default:
      return { status: 405 };
  }
}

/** Reading asks for "Browse datastore" and "Low level file operations", changing for the latter. */
function mayUseFiles(core: VcenterCore, userName: string, datastoreName: string, method: string): boolean {
  const datastore = core.model.inventory.state.datastores.find(({ name }) => name === datastoreName);
  const granted = core.sessions.accounts.on(userName, moRef('Datastore', datastore?.moRef ?? ''));
  const wanted = method === 'GET' || method === 'HEAD' ? ['Datastore.Browse', 'Datastore.FileManagement'] : ['Datastore.FileManagement'];
  return wanted.every((privilege) => granted.has(privilege));
}

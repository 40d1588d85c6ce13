import { createReadStream, createWriteStream } from 'node:fs';
import { rename, rm, stat } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { pipeline } from 'node:stream/promises';
import { moRef } from '../model/vim.js';
import { type Recorder, strike } from './fault-rules.js';
import type { VcenterCore } from './operations.js';
import { cookieOf, DroppedConnection } from './soap-endpoint.js';

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
  const note = (status: number): void => {
    core.rules.log({
      door: 'vcenter',
      method,
      object: url.pathname,
      startedAt,
      ms: performance.now() - started,
      outcome: status < 400 ? 'ok' : String(status),
    });
    record?.({ door: 'vcenter', method, path: `${url.pathname}${url.search}`, status, request: '', response: '' });
  };
  const finish = (status: number, headers: Record<string, string | number> = {}): void => {
    note(status);
    response.writeHead(status, headers).end();
  };
  const session = core.sessions.find(cookieOf(request));
  if (!session) return finish(401);
  if (await strike(core.rules.match('vcenter', method, [url.pathname]), signal)) throw new DroppedConnection();
  const { state } = core.model.inventory;
  // An inventory path, with or without its first slash.
  if (url.searchParams.get('dcPath')?.replace(/^\//, '') !== state.datacenter.name) return finish(404);
  const datastore = core.model.inventory.dataStores.get(url.searchParams.get('dsName') ?? '');
  if (!datastore) return finish(404);
  if (!mayUseFiles(core, session.userName, url.searchParams.get('dsName') ?? '', request.method ?? '')) return finish(403);
  let path: string;
  try {
    path = datastore.absolute(decodeURIComponent(url.pathname.slice('/folder/'.length)));
  } catch {
    return finish(400);
  }
  const info = await stat(path).catch(() => undefined);
  switch (request.method) {
    case 'GET':
    case 'HEAD':
      if (!info?.isFile()) return finish(404);
      if (request.method === 'HEAD') return finish(200, { 'Content-Length': info.size });
      note(200);
      response.writeHead(200, { 'Content-Type': 'application/octet-stream', 'Content-Length': info.size });
      return pipeline(createReadStream(path), response);
    case 'PUT':
      try {
        await pipeline(request, createWriteStream(`${path}~upload`));
        await rename(`${path}~upload`, path);
      } catch (error) {
        await rm(`${path}~upload`, { force: true });
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') return finish(404); // no such folder
        throw error;
      }
      return finish(info ? 200 : 201);
    case 'DELETE':
      if (!info) return finish(404);
      await rm(path, { recursive: true });
      return finish(204);
    default:
      return finish(405);
  }
}

/** Reading asks for "Browse datastore" and "Low level file operations", changing for the latter. */
function mayUseFiles(core: VcenterCore, userName: string, datastoreName: string, method: string): boolean {
  const datastore = core.model.inventory.state.datastores.find(({ name }) => name === datastoreName);
  const granted = core.sessions.accounts.on(userName, moRef('Datastore', datastore?.moRef ?? ''));
  const wanted = method === 'GET' || method === 'HEAD' ? ['Datastore.Browse', 'Datastore.FileManagement'] : ['Datastore.FileManagement'];
  return wanted.every((privilege) => granted.has(privilege));
}

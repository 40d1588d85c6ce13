import { VcdFault } from './faults.js';
import type { Answer, Exchange } from './exchange.js';

export type Handler = (exchange: Exchange) => Promise<Answer> | Answer;

export interface Route {
  method: string;
  /** Segments; `:name` captures, and may have a fixed front: `vapp-:id`. */
  pattern: RegExp;
  names: readonly string[];
  handle: Handler;
}

/** `route('GET', 'vApp/vapp-:id/owner', …)`: the path is below /api and case-sensitive; a final slash is free. */
export function route(method: string, path: string, handle: Handler): Route {
  const names: string[] = [];
  const source = path.replace(/[.*+?^${}()|[\]\\]/g, '\\$&').replace(/:([A-Za-z]+)/g, (_, name: string) => {
    names.push(name);
    return '([^/]+)';
  });
  return { method, pattern: new RegExp(`^${source}/?$`), names, handle };
}

/** @throws VcdFault 404 for an unknown path, 405 for a known path with another method. */
export function findRoute(routes: readonly Route[], method: string, path: string): { handle: Handler; parameters: Record<string, string> } {
  let known = false;
  for (const candidate of routes) {
    const match = candidate.pattern.exec(path);
    if (!match) continue;
    known = true;
    if (candidate.method !== method) continue;
    const parameters = Object.fromEntries(candidate.names.map((name, index) => [name, decodeSegment(match[index + 1] ?? '')]));
    return { handle: candidate.handle, parameters };
  }
  if (known) throw new VcdFault(405, 'METHOD_NOT_ALLOWED', `The method ${method} is not allowed for /${path}.`);
  throw new VcdFault(404, 'NOT_FOUND', `The requested resource /${path} was not found.`);
}

function decodeSegment(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    throw new VcdFault(400, 'BAD_REQUEST', `The path segment "${segment}" is not valid percent-encoding.`);
  }
}

import { createHash } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { RunView } from '../src/jobs/index.js';
import { deadline } from './deadline.js';

const TIMEOUT_MS = 120_000;
const RUN_TIMEOUT_MS = 15 * 60_000;

/** Speaks the service's REST API as any client would. */
export class ServiceClient {
  private recorded = 0;

  constructor(
    private readonly url: string,
    private readonly apiKey: string,
    private readonly recordDir: string | undefined,
  ) {}

  async get<T>(path: string): Promise<T> {
    return this.request<T>('GET', path);
  }

  async post<T>(path: string, body: unknown): Promise<T> {
    return this.request<T>('POST', path, body);
  }

  async put<T>(path: string, body: unknown): Promise<T> {
    return this.request<T>('PUT', path, body);
  }

  async delete(path: string): Promise<void> {
    await this.request('DELETE', path);
  }

  /** Of what is streamed from there. */
  async sha256(path: string): Promise<string> {
    const response = await this.ask(path, 'GET', { headers: { authorization: `Bearer ${this.apiKey}` } });
    if (!response.ok || response.body === null)
      throw new Error(`GET ${path} answered ${response.status}: ${problemText(await response.text())}`);
    const hash = createHash('sha256');
    for await (const bytes of response.body) hash.update(bytes as Uint8Array);
    return hash.digest('hex');
  }

  private async request<T>(method: string, path: string, body?: unknown): Promise<T> {
    const response = await this.ask(path, method, {
      headers: {
        authorization: `Bearer ${this.apiKey}`,
        accept: 'application/json',
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    this.record(method, path, body, response.status, text);
    if (!response.ok) throw new Error(`${method} ${path} answered ${response.status}: ${problemText(text)}`);
    return (text === '' ? undefined : JSON.parse(text)) as T;
  }

  private async ask(path: string, method: string, init: RequestInit): Promise<Response> {
    const send = () => fetch(`${this.url}${path}`, { ...init, method, signal: deadline(`The answer to ${method} ${path}`, TIMEOUT_MS) });
    try {
      return await send();
    } catch (error) {
      // A kept connection that the service closes as idle in the very moment in which it is used again.
      if (method === 'GET' && error instanceof TypeError) return await send();
      throw error;
    }
  }

  /** Follows a run on its event stream until it ends. @throws TimeoutError where that takes longer. */
  async follow(runId: string, onChange: (run: RunView) => void, timeoutMs = RUN_TIMEOUT_MS): Promise<RunView> {
    const response = await fetch(`${this.url}/api/v1/runs/${runId}/events`, {
      headers: { authorization: `Bearer ${this.apiKey}`, accept: 'text/event-stream' },
      signal: deadline(`Run ${runId}`, timeoutMs),
    });
    if (!response.ok || response.body === null) throw new Error(`The event stream of run ${runId} answered ${response.status}`);
    let last: RunView | undefined;
    let rest = '';
    for await (const piece of response.body.pipeThrough(new TextDecoderStream())) {
      const events = (rest + piece).split('\n\n');
      rest = events.pop() as string;
      for (const event of events) {
        const data = event
          .split('\n')
          .filter((line) => line.startsWith('data:'))
          .map((line) => line.slice(5).trimStart())
          .join('\n');
        if (data === '') continue;
        last = JSON.parse(data) as RunView;
        onChange(last);
      }
    }
    if (last === undefined || last.endedAt === null) throw new Error(`The event stream of run ${runId} ended before the run did`);
    return last;
  }

  private record(method: string, path: string, request: unknown, status: number, response: string): void {
    if (this.recordDir === undefined) return;
    mkdirSync(this.recordDir, { recursive: true });
    this.recorded += 1;
    const name = `${String(this.recorded).padStart(5, '0')}-rest-${method}-${path.replace(/[^A-Za-z0-9._-]+/g, '_').slice(0, 120)}`;
    if (request !== undefined)
      writeFileSync(join(this.recordDir, `${name}-request.json`), JSON.stringify(withoutSecrets(request), null, 2));
    writeFileSync(join(this.recordDir, `${name}-response-${status}.json`), response);
  }
}

function withoutSecrets(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutSecrets);
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => [key, /password|secret|token|key$/i.test(key) ? '[removed]' : withoutSecrets(inner)]),
  );
}

function problemText(text: string): string {
  try {
    const problem = JSON.parse(text) as { detail?: string; title?: string };
    return problem.detail ?? problem.title ?? text;
  } catch {
    return text.slice(0, 500);
  }
}

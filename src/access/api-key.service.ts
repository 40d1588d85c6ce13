import { Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { newId } from '../common/index.js';
import { ApiKeyEntity } from './api-key.entity.js';
import { digestApiKey, isApiKey, makeApiKey, shownPrefix } from './api-key.js';
import { AccessError } from './errors.js';
import type { Principal, Role } from './principal.js';

/** Any number no other part of this database uses for pg_advisory_xact_lock. */
const FIRST_KEY_LOCK = 7_186_401;

export interface ApiKeyView {
  id: string;
  name: string;
  prefix: string;
  role: Role;
  organizationId: string | null;
  createdAt: string;
  lastUsedAt: string | null;
  revokedAt: string | null;
}

@Injectable()
export class ApiKeyService {
  constructor(private readonly dataSource: DataSource) {}

  /** @returns the key itself, which nobody can be shown again. */
  async create(name: string, role: Role, organizationId: string | null): Promise<{ key: string; view: ApiKeyView }> {
    const key = makeApiKey();
    const id = newId();
    await this.dataSource.query('INSERT INTO api_keys (id, name, prefix, digest, role, organization_id) VALUES ($1, $2, $3, $4, $5, $6)', [
      ...[id, name, shownPrefix(key), digestApiKey(key), role, organizationId],
    ]);
    return { key, view: toView(await this.dataSource.manager.findOneByOrFail(ApiKeyEntity, { id })) };
  }

  /** Revoked ones included, newest first. */
  async list(): Promise<ApiKeyView[]> {
    const keys = await this.dataSource.manager.find(ApiKeyEntity, { order: { createdAt: 'DESC', id: 'DESC' } });
    return keys.map(toView);
  }

  /**
   * The key opens nothing from now on. Revoking twice is no fault.
   * @throws AccessError API_KEY_NOT_FOUND; API_KEY_LAST_CONFLICT, because nobody could make another.
   */
  async revoke(id: string): Promise<void> {
    await this.dataSource.transaction(async (manager) => {
      // Two administrators revoking each other's key at once must not both succeed.
      await manager.query('SELECT pg_advisory_xact_lock($1)', [FIRST_KEY_LOCK]);
      const key = await manager.findOneBy(ApiKeyEntity, { id });
      if (key === null) throw new AccessError(`There is no API key ${id}.`, { code: 'API_KEY_NOT_FOUND', subject: `API key ${id}` });
      if (key.revokedAt !== null) return;
      const [{ others }] = await manager.query(
        `SELECT count(*)::int AS others FROM api_keys WHERE role = 'provider-admin' AND revoked_at IS NULL AND id <> $1`,
        [id],
      );
      if (key.role === 'provider-admin' && others === 0) {
        throw new AccessError(`API key "${key.name}" is the last one that may administer; make another before revoking it.`, {
          code: 'API_KEY_LAST_CONFLICT',
          subject: `API key "${key.name}"`,
        });
      }
      await manager.query('UPDATE api_keys SET revoked_at = now() WHERE id = $1', [id]);
    });
  }

  /** @returns undefined for a key that was never given out or is revoked. */
  async authenticate(key: string): Promise<Principal | undefined> {
    if (!isApiKey(key)) return undefined;
    const digest = digestApiKey(key);
    const [found]: (Principal & { used: boolean })[] = await this.dataSource.query(
      `SELECT id AS "apiKeyId", name, role, organization_id AS "organizationId",
              COALESCE(last_used_at > now() - interval '1 minute', false) AS used
       FROM api_keys WHERE digest = $1 AND revoked_at IS NULL`,
      [digest],
    );
    if (found === undefined) return undefined;
    // To the minute is enough for "is this key still in use", and spares a write per request.
    if (!found.used) await this.dataSource.query('UPDATE api_keys SET last_used_at = now() WHERE digest = $1', [digest]);
    const { used: _, ...principal } = found;
    return principal;
  }

  /**
   * Makes the first key where there is none; safe when several processes start at one moment.
   * @param given a key chosen outside, which is then not shown: whoever gave it has it.
   * @param show called before the key is stored for good: a death in between leaves a shown key that opens nothing, and the
   * next start makes another. The other way round it would leave a key that nobody has.
   */
  async ensureFirstKey(given: string | undefined, show: (key: string) => void): Promise<void> {
    await this.dataSource.transaction(async (manager) => {
      await manager.query('SELECT pg_advisory_xact_lock($1)', [FIRST_KEY_LOCK]);
      const [{ any }] = await manager.query('SELECT EXISTS (SELECT 1 FROM api_keys) AS any');
      if (any) return;
      const key = given ?? makeApiKey();
      await manager.query(`INSERT INTO api_keys (id, name, prefix, digest, role) VALUES ($1, $2, $3, $4, 'provider-admin')`, [
        newId(),
        'first key',
        shownPrefix(key),
        digestApiKey(key),
      ]);
      if (given === undefined) show(key);
    });
  }
}

function toView(key: ApiKeyEntity): ApiKeyView {
  return {
    id: key.id,
    name: key.name,
    prefix: key.prefix,
    role: key.role,
    organizationId: key.organizationId,
    createdAt: key.createdAt.toISOString(),
    lastUsedAt: key.lastUsedAt?.toISOString() ?? null,
    revokedAt: key.revokedAt?.toISOString() ?? null,
  };
}

import { Inject, Injectable, type OnModuleInit, Optional } from '@nestjs/common';
import { DataSource } from 'typeorm';
import type { Logger } from '../common/index.js';
import { FORMER_MASTER_KEY, LOGGER, MASTER_KEY } from '../config/index.js';
import { CredentialSeal } from './credential-seal.js';

/** What the master key seals in the database, and which row's id each is bound to. */
const SEALED = [
  { table: 'clouds', column: 'sealed_passwords', what: 'passwords of cloud' },
  { table: 'service_account_tokens', column: 'sealed_token', what: "service account's token" },
] as const;

export interface Resealed {
  sealedAnew: number;
  asBefore: number;
  /** What is sealed with neither key, or damaged: `passwords of cloud <id>`. */
  unreadable: string[];
}

/**
 * After a change of the master key: what the former one sealed in the database is sealed anew, row by row. While it lasts, and
 * whenever it is interrupted, everything opens: readers have both keys as long as the former one is in the settings.
 */
@Injectable()
export class CredentialResealing implements OnModuleInit {
  constructor(
    private readonly dataSource: DataSource,
    @Inject(LOGGER) private readonly log: Logger,
    @Inject(MASTER_KEY) private readonly masterKey: Buffer,
    @Optional() @Inject(FORMER_MASTER_KEY) private readonly formerMasterKey?: Buffer | null,
  ) {}

  async onModuleInit(): Promise<void> {
    if (!this.formerMasterKey) return;
    const done = await resealCredentials(this.dataSource, new CredentialSeal(this.masterKey, this.formerMasterKey));
    if (done.unreadable.length > 0)
      this.log.error(
        done,
        'These stored logins open with neither master key; remove their clouds and register them again, whose history goes on',
      );
    else this.log.info(done, 'Every stored login is sealed with the present master key; the former one may leave the settings');
  }
}

export async function resealCredentials(dataSource: DataSource, seal: CredentialSeal): Promise<Resealed> {
  const done: Resealed = { sealedAnew: 0, asBefore: 0, unreadable: [] };
  for (const { table, column, what } of SEALED) {
    const rows: { id: string }[] = await dataSource.query(`SELECT id FROM ${table} ORDER BY id`);
    for (const { id } of rows) {
      await dataSource.transaction(async (manager) => {
        // Locked: a token that is being exchanged at this moment is waited for.
        const [row]: { sealed: Buffer }[] = await manager.query(`SELECT ${column} AS sealed FROM ${table} WHERE id = $1 FOR UPDATE`, [id]);
        if (!row) return;
        try {
          const sealed = seal.resealed(id, `${what} ${id}`, row.sealed);
          if (sealed) await manager.query(`UPDATE ${table} SET ${column} = $2 WHERE id = $1`, [id, sealed]);
          done[sealed ? 'sealedAnew' : 'asBefore'] += 1;
        } catch (error) {
          if ((error as { code?: string }).code !== 'CREDENTIALS_SEALED_OTHERWISE') throw error;
          done.unreadable.push(`${what} ${id}`);
        }
      });
    }
  }
  return done;
}

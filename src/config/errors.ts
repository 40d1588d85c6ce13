import { VaultError } from '../common/index.js';

/** The service cannot start as configured. The message lists every fault, one per line. */
export class ConfigError extends VaultError {
  readonly faults: readonly string[];

  constructor(faults: readonly string[]) {
    super(
      `The configuration has ${faults.length === 1 ? 'a fault' : `${faults.length} faults`}:\n${faults.map((f) => `- ${f}`).join('\n')}`,
      {
        code: 'CONFIG_INVALID',
      },
    );
    this.faults = faults;
  }
}

/** The master key cannot be read, made or trusted. */
export class MasterKeyError extends VaultError {
  constructor(message: string, path: string, cause?: unknown) {
    super(message, { code: 'MASTER_KEY_UNUSABLE', subject: path, cause });
  }
}

/** vapp-vault-keys: what is done to the keys of a repository folder while the service is stopped. */
import { parseArgs } from 'node:util';
import { createLogger } from './common/index.js';
import { openMasterKey } from './config/index.js';
import { changeMasterKey, Repository, writeRecoveryKey } from './repository/index.js';
import { explain, openExisting, UsageError } from './repository-tools.js';

const USAGE = `usage:
  vapp-vault-keys rotate   --repository FOLDER --key-file FORMER --new-key-file NEW
  vapp-vault-keys recovery --repository FOLDER --key-file FILE
  vapp-vault-keys shred    --repository FOLDER --key-file FILE --organization ID --yes

rotate    wraps the organizations' keys with the key in NEW (made, if it is not there); data is not touched.
          Stop every service first, start it with NEW afterwards. Interrupted, run it again.
recovery  prints a new recovery key, which opens the master key should that be lost; a former one is void
shred     destroys the key and the objects of an organization: nothing of it can be read ever again
`;

/** @returns the exit code. */
export async function keys(argv: readonly string[], say: (line: string) => void, complain: (line: string) => void): Promise<number> {
  try {
    const string = { type: 'string' } as const;
    const options = {
      repository: string,
      'key-file': string,
      'new-key-file': string,
      organization: string,
      yes: { type: 'boolean' },
    } as const;
    const { values, positionals } = parseArgs({ args: [...argv], allowPositionals: true, options });
    const { repository, 'key-file': keyFile } = values;
    if (repository === undefined || keyFile === undefined || positionals.length !== 1)
      throw new UsageError('a command, --repository and --key-file are needed');
    const store = await openExisting(repository);
    const masterKey = await openMasterKey({ path: keyFile, makeIfMissing: false });
    switch (positionals[0]) {
      case 'rotate': {
        const path = values['new-key-file'];
        if (path === undefined) throw new UsageError('--new-key-file is needed');
        const newKey = await openMasterKey({ path, makeIfMissing: true });
        const { organizations } = await changeMasterKey(store, { formerKey: masterKey, newKey });
        say(
          `The keys of ${organizations} organizations are wrapped with the key in ${path}; start the service with it, register the clouds' passwords again, and make a new recovery key.`,
        );
        return 0;
      }
      case 'recovery':
        say(await writeRecoveryKey(store, masterKey));
        return 0;
      case 'shred': {
        if (values.organization === undefined || values.yes !== true) throw new UsageError('--organization and --yes are needed');
        const opened = await Repository.open({ store, masterKey, log: createLogger('warn') });
        await opened.shredOrganization(values.organization);
        say(`Nothing of organization ${values.organization} can be read any more. Destroy the copies of its key file, too.`);
        return 0;
      }
      default:
        throw new UsageError(`there is no command "${positionals[0]}"`);
    }
  } catch (error) {
    complain(explain(error, 'vapp-vault-keys', USAGE));
    return 1;
  }
}

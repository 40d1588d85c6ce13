/** vapp-vault-keys: what is done to the keys of a repository while the service is stopped. */
import { open } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { createLogger } from './common/index.js';
import { openMasterKey } from './config/index.js';
import { type BlobStore, changeMasterKey, Repository, writeRecoveryKey } from './repository/index.js';
import { explain, openExisting, PLACE_OPTIONS, PLACE_USAGE, readMasterKey, UsageError } from './repository-tools.js';

const USAGE = `usage:
  vapp-vault-keys rotate   WHERE KEY --new-key-file NEW | --new-key-command COMMAND
  vapp-vault-keys recovery WHERE KEY
  vapp-vault-keys recover  WHERE --recovery-key-file FILE --new-key-file OUT
  vapp-vault-keys shred    WHERE KEY --organization ID --yes

${PLACE_USAGE}

KEY is one of --key-file FILE, --key-command COMMAND, --recovery-key-file FILE

rotate    wraps the organizations' keys with the key in NEW (made, if it is not there); data is not touched.
          Stop every service first; start it with NEW, and the former key as former one, afterwards. Interrupted, run it again.
recovery  prints a new recovery key, which opens the master key should that be lost; a former one is void
recover   writes the master key, opened with the recovery key, to the new file OUT
shred     destroys the key and the objects of an organization: nothing of it can be read ever again.
          Of a repository with two sites: at each of them
`;

interface Arguments {
  'key-file'?: string;
  'key-command'?: string;
  'recovery-key-file'?: string;
  'new-key-file'?: string;
  'new-key-command'?: string;
  organization?: string;
  yes?: boolean;
}

type Command = (store: BlobStore, masterKey: Buffer, given: Arguments) => Promise<string>;

const COMMANDS: Readonly<Record<string, Command>> = {
  rotate,
  recovery: (store, masterKey) => writeRecoveryKey(store, masterKey),
  recover,
  shred,
};

/** @returns the exit code. */
export async function keys(argv: readonly string[], say: (line: string) => void, complain: (line: string) => void): Promise<number> {
  try {
    const string = { type: 'string' } as const;
    const options = {
      ...PLACE_OPTIONS,
      'key-file': string,
      'key-command': string,
      'recovery-key-file': string,
      'new-key-file': string,
      'new-key-command': string,
      organization: string,
      yes: { type: 'boolean' },
    } as const;
    const { values, positionals } = parseArgs({ args: [...argv], allowPositionals: true, options });
    const command = COMMANDS[positionals[0] ?? ''];
    if (values.repository === undefined || positionals.length !== 1) throw new UsageError('a command and --repository are needed');
    if (command === undefined) throw new UsageError(`there is no command "${positionals[0]}"`);
    const store = await openExisting(values);
    try {
      const source = { file: values['key-file'], command: values['key-command'], recoveryKeyFile: values['recovery-key-file'] };
      const masterKey = await readMasterKey(store, source, '--key-file, --key-command and --recovery-key-file');
      say(await command(store, masterKey, values));
      return 0;
    } finally {
      await store.close();
    }
  } catch (error) {
    complain(explain(error, 'vapp-vault-keys', USAGE));
    return 1;
  }
}

async function rotate(store: BlobStore, formerKey: Buffer, given: Arguments): Promise<string> {
  const { 'new-key-file': path, 'new-key-command': command } = given;
  if ((path === undefined) === (command === undefined)) throw new UsageError('one of --new-key-file and --new-key-command is needed');
  const newKey = await openMasterKey({ path: path ?? '', makeIfMissing: command === undefined, command });
  const { organizations } = await changeMasterKey(store, { formerKey, newKey });
  const where = path === undefined ? 'of the command' : `in ${path}`;
  return `The keys of ${organizations} organizations are wrapped with the key ${where}. Start the service with it and with the former key as VAPP_VAULT_FORMER_MASTER_KEY_FILE, so that the stored logins are sealed anew, and make a new recovery key.`;
}

async function recover(_store: BlobStore, masterKey: Buffer, given: Arguments): Promise<string> {
  const path = given['new-key-file'];
  if (given['recovery-key-file'] === undefined || path === undefined)
    throw new UsageError('--recovery-key-file and --new-key-file are needed');
  const file = await open(path, 'wx', 0o600);
  try {
    await file.writeFile(`${masterKey.toString('base64')}\n`);
    await file.sync();
  } finally {
    await file.close();
  }
  return `The master key is in ${path}; start the service with it.`;
}

async function shred(store: BlobStore, masterKey: Buffer, { organization, yes }: Arguments): Promise<string> {
  if (organization === undefined || yes !== true) throw new UsageError('--organization and --yes are needed');
  const opened = await Repository.open({ store, masterKey, log: createLogger('warn') });
  await opened.shredOrganization(organization);
  return `Nothing of organization ${organization} can be read here any more. Destroy the copies of its key file, too; a second site follows with the next copy run, or is shredded by the same command.`;
}

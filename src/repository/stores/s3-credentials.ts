import { readFile, stat } from 'node:fs/promises';
import { describeError } from '../../common/index.js';
import { RepositoryError } from '../errors.js';

export interface S3Credentials {
  accessKeyId: string;
  secretAccessKey: string;
  sessionToken?: string;
  /** The client asks again shortly before. */
  expiration?: Date;
}

/** Keys that are changed in the file are taken up without a restart. */
const REREAD_FILE_MS = 10 * 60_000;

/**
 * Where the keys come from: a file of the AWS form (`aws_access_key_id = …`, the section `[default]` or the only one), or without
 * a file AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN. Never the command line, which every user of a machine can read.
 * @throws RepositoryError REPOSITORY_DENIED naming the file or the variables, never a value.
 */
export function s3Credentials(file: string | undefined, environment: NodeJS.ProcessEnv = process.env): () => Promise<S3Credentials> {
  return file === undefined ? async () => fromEnvironment(environment) : () => fromFile(file);
}

function fromEnvironment(environment: NodeJS.ProcessEnv): S3Credentials {
  return complete(
    {
      accessKeyId: environment.AWS_ACCESS_KEY_ID,
      secretAccessKey: environment.AWS_SECRET_ACCESS_KEY,
      sessionToken: environment.AWS_SESSION_TOKEN,
    },
    'The environment has no AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; set them, or name a credentials file',
  );
}

async function fromFile(file: string): Promise<S3Credentials> {
  let text: string;
  try {
    // Who can read the keys can read and delete every backup.
    const { mode } = await stat(file);
    if ((mode & 0o077) !== 0) {
      throw denied(`The credentials file ${file} is open to other users; give it mode 600`);
    }
    text = await readFile(file, 'utf8');
  } catch (error) {
    if (error instanceof RepositoryError) throw error;
    throw denied(`The credentials file ${file} cannot be read: ${describeError(error)}`, error);
  }
  const values = sectionOf(text);
  const found = {
    accessKeyId: values.get('aws_access_key_id'),
    secretAccessKey: values.get('aws_secret_access_key'),
    sessionToken: values.get('aws_session_token'),
  };
  const credentials = complete(
    found,
    `The credentials file ${file} has no aws_access_key_id and aws_secret_access_key in its section [default]`,
  );
  return { ...credentials, expiration: new Date(Date.now() + REREAD_FILE_MS) };
}

function complete(found: { [name in keyof S3Credentials]?: string | undefined }, otherwise: string): S3Credentials {
  const { accessKeyId, secretAccessKey, sessionToken } = found;
  if (!accessKeyId || !secretAccessKey) throw denied(otherwise);
  return { accessKeyId, secretAccessKey, ...(sessionToken ? { sessionToken } : {}) };
}

/** The lines of [default], or of the only section, or of a file without any. */
function sectionOf(text: string): ReadonlyMap<string, string> {
  const sections = new Map<string, Map<string, string>>();
  let current = new Map<string, string>();
  for (const raw of text.split(/\r?\n/)) {
    const line = raw.trim();
    if (line === '' || line.startsWith('#') || line.startsWith(';')) continue;
    const section = /^\[(?:profile\s+)?([^\]]+)\]$/.exec(line)?.[1];
    const at = line.indexOf('=');
    if (section !== undefined) {
      current = new Map();
      sections.set(section.trim(), current);
    } else if (at > 0) {
      if (sections.size === 0) sections.set('', current);
      current.set(line.slice(0, at).trim().toLowerCase(), line.slice(at + 1).trim());
    }
  }
  const only = sections.size === 1 ? [...sections.values()][0] : undefined;
  return sections.get('default') ?? only ?? new Map();
}

function denied(message: string, cause?: unknown): RepositoryError {
  return new RepositoryError(message, { code: 'REPOSITORY_DENIED', cause });
}

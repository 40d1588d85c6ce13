import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { s3Credentials } from './s3-credentials.js';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'vapp-vault-credentials-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function from(text: string, mode = 0o600) {
  const file = join(folder, 'credentials');
  await writeFile(file, text);
  await chmod(file, mode);
  return s3Credentials(file, {})();
}

describe('s3Credentials', () => {
  it('reads the default section of a file, or the only one, and asks again later', async () => {
    const text =
      '# ours\n[other]\naws_access_key_id=no\naws_secret_access_key=no\n[default]\r\nAWS_ACCESS_KEY_ID = id\naws_secret_access_key = a=b/c+\n';
    const found = await from(text);
    expect(found).toMatchObject({ accessKeyId: 'id', secretAccessKey: 'a=b/c+' });
    expect(found.expiration?.getTime()).toBeGreaterThan(Date.now());
    expect(await from('[profile backup]\naws_access_key_id=i\naws_secret_access_key=s\naws_session_token=t')).toMatchObject({
      accessKeyId: 'i',
      sessionToken: 't',
    });
    expect(await from('aws_access_key_id=i\naws_secret_access_key=s')).toMatchObject({ secretAccessKey: 's' });
  });

  it('reads the environment where there is no file', async () => {
    const environment = { AWS_ACCESS_KEY_ID: 'i', AWS_SECRET_ACCESS_KEY: 's', AWS_SESSION_TOKEN: 't' };
    expect(await s3Credentials(undefined, environment)()).toEqual({ accessKeyId: 'i', secretAccessKey: 's', sessionToken: 't' });
    await expect(s3Credentials(undefined, { AWS_ACCESS_KEY_ID: 'i' })()).rejects.toMatchObject({
      code: 'REPOSITORY_DENIED',
      message: /AWS_SECRET_ACCESS_KEY/,
    });
  });

  it('refuses a file that others can read, that is absent or incomplete, without a word of its contents', async () => {
    await expect(from('aws_access_key_id=i\naws_secret_access_key=sesame', 0o640)).rejects.toThrow(/mode 600/);
    for (const text of ['', '[a]\naws_access_key_id=i\n[b]\naws_secret_access_key=sesame', 'sesame']) {
      const error = await from(text).then(
        () => undefined,
        (reason: Error) => reason,
      );
      expect(error).toMatchObject({ code: 'REPOSITORY_DENIED' });
      expect(error?.message).not.toContain('sesame');
    }
    await expect(s3Credentials(join(folder, 'none'), {})()).rejects.toThrow(/cannot be read: ENOENT/);
  });
});

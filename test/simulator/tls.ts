import { randomBytes, webcrypto } from 'node:crypto';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
// x509 registers its algorithms through reflect metadata.
import 'reflect-metadata';
import * as x509 from '@peculiar/x509';
import { certificateThumbprint } from '../../src/common/index.js';

export interface ServerCertificate {
  certificatePem: string;
  privateKeyPem: string;
  /** Colon-separated, upper case. */
  thumbprintSha1: string;
  thumbprintSha256: string;
}

const VALID_MS = 10 * 365 * 24 * 3600 * 1000;
const ALGORITHM = { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256', publicExponent: new Uint8Array([1, 0, 1]), modulusLength: 2048 };

/**
 * The self-signed certificate of an appliance, as it makes one for itself at installation: kept in
 * `file`, so that thumbprints that were registered stay right after a restart.
 */
export async function serverCertificate(file: string, commonName: string, addresses: readonly string[]): Promise<ServerCertificate> {
  const kept = await readFile(file, 'utf8').catch(() => undefined);
  if (kept !== undefined) return withThumbprints(JSON.parse(kept) as { certificatePem: string; privateKeyPem: string });
  const made = await selfSigned(commonName, addresses);
  await mkdir(dirname(file), { recursive: true });
  await writeFile(`${file}.new`, JSON.stringify(made), { mode: 0o600 });
  await rename(`${file}.new`, file);
  return withThumbprints(made);
}

async function selfSigned(commonName: string, addresses: readonly string[]): Promise<{ certificatePem: string; privateKeyPem: string }> {
  x509.cryptoProvider.set(webcrypto);
  const keys = await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
  const nowMs = Date.now();
  const names = new Set(['127.0.0.1', '::1', ...addresses.filter((address) => address !== '0.0.0.0' && address !== '::')]);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    // The first octet below 0x80 keeps the number positive in DER.
    serialNumber: `4a${randomBytes(7).toString('hex')}`,
    name: `CN=${commonName}, O=Simulated cloud`,
    notBefore: new Date(nowMs - 24 * 3600 * 1000),
    notAfter: new Date(nowMs + VALID_MS),
    signingAlgorithm: ALGORITHM,
    keys,
    extensions: [
      new x509.BasicConstraintsExtension(true, undefined, true),
      new x509.KeyUsagesExtension(
        x509.KeyUsageFlags.digitalSignature | x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.keyEncipherment,
        true,
      ),
      new x509.SubjectAlternativeNameExtension([
        { type: 'dns', value: 'localhost' },
        ...[...names].map((value) => ({ type: 'ip' as const, value })),
      ]),
    ],
  });
  const pkcs8 = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey)).toString('base64');
  const lines = (pkcs8.match(/.{1,64}/g) ?? []).join('\n');
  return {
    certificatePem: certificate.toString('pem'),
    privateKeyPem: `-----BEGIN PRIVATE KEY-----\n${lines}\n-----END PRIVATE KEY-----\n`,
  };
}

function withThumbprints(pems: { certificatePem: string; privateKeyPem: string }): ServerCertificate {
  const der = new Uint8Array(new x509.X509Certificate(pems.certificatePem).rawData);
  return { ...pems, thumbprintSha1: certificateThumbprint(der, 'sha1'), thumbprintSha256: certificateThumbprint(der, 'sha256') };
}

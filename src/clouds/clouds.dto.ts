import { X509Certificate } from 'node:crypto';
import { z } from 'zod';
import { normalizeThumbprint } from '../common/index.js';

const time = z.iso.datetime();

function isThumbprint(value: string): boolean {
  try {
    normalizeThumbprint(value);
    return true;
  } catch {
    return false;
  }
}

/** Here and not at the first login: a TLS stack's own complaint about PEM names no field. */
function isCertificates(pem: string): boolean {
  const certificates = pem.match(/-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g) ?? [];
  try {
    return certificates.length > 0 && certificates.every((certificate) => new X509Certificate(certificate).raw.length > 0);
  } catch {
    return false;
  }
}

const server = {
  url: z
    .url({ protocol: /^https$/, error: 'must be an https:// URL' })
    .refine((value) => !/\/\/[^/]*@/.test(value), 'must not carry a user name or password'),
  userName: z.string().min(1).max(256),
  password: z.string().min(1).max(1024).meta({ writeOnly: true }),
  thumbprint: z
    .string()
    .refine(isThumbprint, 'must be 20 (SHA-1) or 32 (SHA-256) bytes in hexadecimal')
    .optional()
    .meta({ description: "Of the server's very certificate, SHA-1 or SHA-256; for certificates no authority signed" }),
  caPem: z
    .string()
    .max(256 * 1024)
    .refine(isCertificates, 'must be one or more certificates in PEM')
    .optional()
    .meta({ description: 'Authorities to trust instead of the system’s' }),
};

const oneTrust = [
  (value: { thumbprint?: string | undefined; caPem?: string | undefined }) => value.thumbprint === undefined || value.caPem === undefined,
  'must have a thumbprint or a caPem, not both',
] as const;

export const cloudRegistrationSchema = z
  .strictObject({
    name: z.string().trim().min(1).max(100),
    vcd: z
      .strictObject({
        ...server,
        organization: z.string().min(1).default('System').meta({ description: '"System" logs in as the provider' }),
      })
      .refine(...oneTrust),
    vcenters: z
      .array(z.strictObject(server).refine(...oneTrust))
      .min(1)
      .max(64),
  })
  .meta({ id: 'CloudRegistration' });
export type CloudRegistrationDto = z.output<typeof cloudRegistrationSchema>;

export const cloudSchema = z
  .object({
    id: z.string(),
    name: z.string(),
    vcd: z.object({ url: z.string(), organization: z.string(), userName: z.string() }),
    vcenters: z.array(z.object({ url: z.string(), instanceUuid: z.string(), userName: z.string() })),
    warnings: z.array(z.string()).meta({ description: 'vCenters VCD uses and nobody registered, and the reverse' }),
    createdAt: time,
    refreshedAt: time.nullable().meta({ description: 'Of the last complete inventory' }),
    refreshError: z.string().nullable().meta({ description: 'Why the last inventory failed' }),
  })
  .meta({ id: 'Cloud' });
export const cloudListSchema = z.object({ items: z.array(cloudSchema) }).meta({ id: 'CloudList' });

const count = z.int().min(0);
export const inventoryCountsSchema = z
  .object({ organizations: count, vdcs: count, vapps: count, vms: count, vanishedVapps: count })
  .meta({ id: 'InventoryCounts' });

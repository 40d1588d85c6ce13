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

const secret = z.string().min(1).max(8192);
const vcdAccount = {
  userName: server.userName.optional().meta({ description: 'With a password' }),
  password: z.string().min(1).max(1024).optional().meta({ writeOnly: true }),
  apiToken: secret.optional().meta({ writeOnly: true, description: 'Of a user, VCD 10.3.1 or later; instead of userName and password' }),
  serviceAccountToken: secret.optional().meta({
    writeOnly: true,
    description: 'Of a service account; used up by the registration, and replaced by the service from then on',
  }),
};
const apiVersion = z
  .string()
  .regex(/^3[3-9]\.\d{1,2}$/, 'must be one of 33.0 to 39.x')
  .meta({ description: 'Pins the API version; otherwise the highest both sides know is spoken' });

interface AccountFields {
  userName?: string | undefined;
  password?: string | undefined;
  apiToken?: string | undefined;
  serviceAccountToken?: string | undefined;
}
function waysToLogIn(value: AccountFields): number {
  return [value.userName ?? value.password, value.apiToken, value.serviceAccountToken].filter((way) => way !== undefined).length;
}
const wholePassword = [
  (value: AccountFields) => (value.userName === undefined) === (value.password === undefined),
  'must have userName and password together',
] as const;

export const cloudRegistrationSchema = z
  .strictObject({
    name: z.string().trim().min(1).max(100),
    vcd: z
      .strictObject({
        ...server,
        ...vcdAccount,
        organization: z.string().min(1).default('System').meta({ description: '"System" logs in as the provider' }),
        apiVersion: apiVersion.optional(),
      })
      .refine(...oneTrust)
      .refine(...wholePassword)
      .refine((vcd) => waysToLogIn(vcd) === 1, 'must have one of userName and password, apiToken, serviceAccountToken'),
    vcenters: z
      .array(z.strictObject(server).refine(...oneTrust))
      .min(1)
      .max(64),
  })
  .meta({ id: 'CloudRegistration' });

export const cloudChangeSchema = z
  .strictObject({
    vcd: z
      .strictObject({
        url: server.url.optional(),
        organization: z.string().min(1).optional(),
        ...vcdAccount,
        apiVersion: apiVersion.optional(),
        thumbprint: server.thumbprint,
        caPem: server.caPem,
      })
      .refine(...oneTrust)
      .refine(...wholePassword)
      .refine((vcd) => waysToLogIn(vcd) <= 1, 'must have at most one of userName and password, apiToken, serviceAccountToken')
      .optional(),
    vcenters: z
      .array(
        z
          .strictObject({
            instanceUuid: z.string().min(1).max(64).meta({ description: 'Which of the registered vCenters' }),
            url: server.url.optional(),
            userName: server.userName.optional(),
            password: server.password.optional(),
            thumbprint: server.thumbprint,
            caPem: server.caPem,
          })
          .refine(...oneTrust),
      )
      .max(64)
      .optional(),
    addVcenters: z
      .array(z.strictObject(server).refine(...oneTrust))
      .min(1)
      .max(64)
      .optional()
      .meta({ description: 'More vCenters of this VCD; each is tried first' }),
    removeVcenters: z
      .array(z.string().min(1).max(64))
      .min(1)
      .max(64)
      .optional()
      .meta({ description: 'Instance UUIDs; refused with 409 while a run is under way or something is still to be undone there' }),
  })
  .refine(
    ({ vcd, vcenters, addVcenters, removeVcenters }) =>
      vcd !== undefined || (vcenters ?? []).length > 0 || addVcenters !== undefined || removeVcenters !== undefined,
    'must change something',
  )
  .meta({ id: 'CloudChange' });
export type CloudChangeDto = z.output<typeof cloudChangeSchema>;

export type CloudRegistrationDto = z.output<typeof cloudRegistrationSchema>;

export const cloudSchema = z
  .object({
    id: z.string(),
    name: z.string(),
    vcd: z.object({
      url: z.string(),
      organization: z.string(),
      login: z.enum(['password', 'api-token', 'service-account']),
      userName: z.string().nullable().meta({ description: 'Of a password' }),
      apiVersion: z.string().nullable().meta({ description: 'Pinned by the registration; null: the highest both sides know' }),
    }),
    vcenters: z.array(z.object({ url: z.string(), instanceUuid: z.string(), userName: z.string() })),
    warnings: z.array(z.string()).meta({ description: 'vCenters VCD uses and nobody registered, and the reverse' }),
    createdAt: time,
    refreshedAt: time.nullable().meta({ description: 'Of the last complete inventory' }),
    refreshError: z.string().nullable().meta({ description: 'Why the last inventory failed' }),
  })
  .meta({ id: 'Cloud' });
export const cloudListSchema = z.object({ items: z.array(cloudSchema) }).meta({ id: 'CloudList' });

export const refreshSchema = z
  .strictObject({ full: z.boolean().optional().meta({ description: 'Read everything again, whatever is known' }) })
  .optional()
  .meta({ id: 'Refresh' });
export type RefreshDto = z.output<typeof refreshSchema>;

const count = z.int().min(0);
export const inventoryCountsSchema = z
  .object({
    organizations: count,
    vdcs: count,
    vapps: count,
    vms: count,
    vappTemplates: count,
    media: count,
    namedDisks: count,
    firstClassDisks: count.meta({ description: 'Of all vCenters; those of a vCenter that did not answer as they were seen last' }),
    resources: count,
    vanishedVapps: count.meta({ description: 'vApps, standalone VMs, templates and media that are not there any more' }),
    mode: z.enum(['full', 'changes']).meta({ description: 'Whether everything was read, or what has changed' }),
    fullReason: z.enum(['first', 'requested', 'age', 'no-events']).nullable().meta({ description: 'Why everything was read' }),
    listingsRead: z.array(z.string()).meta({ description: 'Listings read from end to end' }),
    recordsRead: count,
    requests: count.meta({ description: 'Requests sent to vCloud Director' }),
  })
  .meta({ id: 'InventoryCounts' });

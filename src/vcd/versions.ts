import { parseXml, type XmlElement, XmlError } from '../common/index.js';
import { VcdError } from './error.js';

/** One entry of /api/versions. */
export interface ApiVersion {
  version: string;
  deprecated: boolean;
  loginUrl: string | undefined;
  /** From 36.0 on; LoginUrl is the tenants' alone from then. */
  providerLoginUrl: string | undefined;
}

/** The range this client was written and tested for: VCD 10.0 to 10.6. */
const LOWEST: readonly [number, number] = [33, 0];
const HIGHEST_MAJOR = 39;

/** @throws VcdError NOT_A_VCD for anything but a SupportedVersions document. */
export function parseVersions(text: string, host: string): ApiVersion[] {
  let root: XmlElement;
  try {
    root = parseXml(text);
  } catch (error) {
    if (error instanceof XmlError) throw notAVcd(host);
    throw error;
  }
  if (root.local !== 'SupportedVersions') throw notAVcd(host);
  const entries = root.childrenNamed('VersionInfo').flatMap((info): ApiVersion[] => {
    const version = info.textAt('Version') ?? '';
    // Alpha versions ("38.0.0-alpha") promise nothing and are left alone.
    if (!/^\d+\.\d+$/.test(version)) return [];
    return [
      {
        version,
        deprecated: info.attribute('deprecated') === 'true',
        loginUrl: info.textAt('LoginUrl') || undefined,
        providerLoginUrl: info.textAt('ProviderLoginUrl') || undefined,
      },
    ];
  });
  if (entries.length === 0) throw notAVcd(host);
  return entries;
}

export function notAVcd(host: string, hint = 'its answer to /api/versions is not the list of API versions'): VcdError {
  return new VcdError(`${host} is not a vCloud Director: ${hint}; check the URL.`, { code: 'NOT_A_VCD', subject: host });
}

/**
 * The highest version both sides know; a deprecated one only when nothing else fits.
 * A pinned version is taken as it is when the server offers it.
 * @throws VcdError VERSION_UNSUPPORTED
 */
export function chooseVersion(offered: readonly ApiVersion[], pinned: string | undefined, host: string): ApiVersion {
  const list = offered.map((entry) => entry.version).join(', ');
  if (pinned !== undefined) {
    const found = offered.find((entry) => entry.version === pinned);
    if (found) return found;
    throw unsupported(`${host} does not offer the registered API version ${pinned}; it offers ${list}.`, host);
  }
  const known = offered.filter((entry) => isKnown(entry.version)).sort((a, b) => compareVersions(b.version, a.version));
  const chosen = known.find((entry) => !entry.deprecated) ?? known[0];
  if (chosen) return chosen;
  throw unsupported(`${host} offers API versions ${list}; this service speaks ${LOWEST.join('.')} to ${HIGHEST_MAJOR}.x.`, host);
}

/** /api/sessions is deprecated since 33.0 and gone from 38.0 on. */
const NO_API_SESSIONS_FROM = '38.0';
const CLOUDAPI_SESSIONS = '/cloudapi/1.0.0/sessions';

/**
 * Where to log in at that version. From 36.0 on LoginUrl is the tenants' alone and ProviderLoginUrl must be there;
 * before, the provider's door is LoginUrl itself (/api/sessions) or one step below it (cloudapi).
 */
export function loginTargets(version: ApiVersion, provider: boolean): { login: string; cloudapi: boolean } {
  const fallback = compareVersions(version.version, NO_API_SESSIONS_FROM) >= 0 ? CLOUDAPI_SESSIONS : '/api/sessions';
  const tenants = pathOf(version.loginUrl) ?? fallback;
  const providers = pathOf(version.providerLoginUrl) ?? (isCloudapi(tenants) ? `${tenants}/provider` : tenants);
  const login = provider ? providers : tenants;
  return { login, cloudapi: isCloudapi(login) };
}

function isCloudapi(path: string): boolean {
  return path.startsWith('/cloudapi/');
}

/** The path alone: an address in an answer may name a public host, and no password follows it there. */
function pathOf(url: string | undefined): string | undefined {
  if (url === undefined || !URL.canParse(url, 'https://vcd')) return undefined;
  return new URL(url, 'https://vcd').pathname.replace(/\/+$/, '');
}

function unsupported(message: string, host: string): VcdError {
  return new VcdError(message, { code: 'VERSION_UNSUPPORTED', subject: host });
}

function isKnown(version: string): boolean {
  return compareVersions(version, LOWEST.join('.')) >= 0 && majorMinor(version)[0] <= HIGHEST_MAJOR;
}

/** Negative, zero or positive: 9.0 is older than 33.0, and 37.2 than 37.10. */
export function compareVersions(one: string, other: string): number {
  const [oneMajor, oneMinor] = majorMinor(one);
  const [otherMajor, otherMinor] = majorMinor(other);
  return oneMajor - otherMajor || oneMinor - otherMinor;
}

function majorMinor(version: string): [number, number] {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  return [major, minor];
}

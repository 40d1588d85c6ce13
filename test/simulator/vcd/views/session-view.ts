import type { XmlElement } from '../../../../src/common/index.js';
import type { Session } from '../sessions.js';
import { build, links, MEDIA } from '../xml-names.js';
import type { Viewer } from './viewer.js';

/** What this cell speaks: VCD 10.0 to 10.6. */
export const API_VERSIONS = [
  '33.0',
  '34.0',
  '35.0',
  '35.2',
  '36.0',
  '36.1',
  '36.2',
  '36.3',
  '37.0',
  '37.1',
  '37.2',
  '37.3',
  '38.0',
  '38.1',
  '39.0',
  '39.1',
] as const;

export function supportedVersions(base: string, versions: readonly string[] = API_VERSIONS): XmlElement {
  return build(
    'versions:SupportedVersions',
    {},
    versions.map((version) =>
      build(
        'versions:VersionInfo',
        { deprecated: Number(version) < 36 },
        build('versions:Version', {}, version),
        build('versions:LoginUrl', {}, `${base}/cloudapi/1.0.0/sessions`),
        build('versions:ProviderLoginUrl', {}, `${base}/cloudapi/1.0.0/sessions/provider`),
      ),
    ),
  );
}

export function sessionView({ hrefs, session }: Viewer): XmlElement {
  const { organization, user } = session;
  return build(
    'Session',
    {
      user: user.name,
      org: organization.name,
      userId: `urn:vcloud:user:${user.id}`,
      roles: user.role,
      href: hrefs.api('session/'),
      type: `${MEDIA.session}+xml`,
    },
    links('down', hrefs.api('org/'), MEDIA.orgList),
    session.isProvider ? links('down', hrefs.api('admin/'), MEDIA.vcloud) : [],
    session.isProvider ? links('down', hrefs.api('admin/extension'), MEDIA.extension) : [],
    links('down', hrefs.org(organization.id), MEDIA.org, organization.name),
    links('down', hrefs.api('query'), MEDIA.queryList),
    links('remove', hrefs.api('session/')),
  );
}

/** The cloudapi form of a session. */
export function sessionJson(session: Session): Record<string, unknown> {
  const { organization, user } = session;
  return {
    id: `urn:vcloud:session:${session.id}`,
    site: { name: 'simulated cloud', id: 'urn:vcloud:site:00000000-0000-4000-8000-000000000001' },
    user: { name: user.name, id: `urn:vcloud:user:${user.id}` },
    org: { name: organization.name, id: `urn:vcloud:org:${organization.id}` },
    operatingOrg: { name: organization.name, id: `urn:vcloud:org:${organization.id}` },
    location: 'simulated@localhost',
    roles: [user.role],
    roleRefs: [{ name: user.role, id: 'urn:vcloud:role:00000000-0000-4000-8000-000000000002' }],
    sessionIdleTimeoutMinutes: 30,
  };
}

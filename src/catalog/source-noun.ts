import type { SourceKind } from './manifest-content.js';

const NOUNS: Readonly<Record<SourceKind, string>> = {
  vapp: 'vApp',
  'standalone-vm': 'VM',
  'vapp-template': 'vApp template',
  media: 'medium',
  'first-class-disk': 'first class disk',
};

export function nounOf(kind: SourceKind): string {
  return NOUNS[kind];
}

/** An object as people know it: `vApp "shop"`. */
export function subjectOf({ kind, name }: { kind: SourceKind; name: string }): string {
  return `${NOUNS[kind]} "${name}"`;
}

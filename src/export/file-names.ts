const LONGEST_NAME = 150;
/** What file systems, shells and headers take amiss. */
const FORBIDDEN = /[\p{Cc}\p{Cf}\p{Surrogate}<>:"/\\|?*%]/gu;

/** A name of a vApp, VM or disk as part of a file name, in whatever script it is. */
export function fileNamePart(name: string): string {
  const part = [...name.normalize('NFC').replace(FORBIDDEN, '_').trim().replace(/^\.+/, '_')].slice(0, LONGEST_NAME / 3).join('');
  return part.trim() || 'unnamed';
}

/** The same in the characters that archives and image formats know. */
export function plainName(name: string): string {
  return name
    .normalize('NFKD')
    .replace(/\p{M}/gu, '')
    .replace(/[^A-Za-z0-9._-]+/g, '_');
}

/** RFC 6266, with the name in RFC 8187's form where it needs it, and a plain one for those who do not know that. */
export function contentDisposition(fileName: string): string {
  const plain = plainName(fileName);
  if (plain === fileName) return `attachment; filename="${fileName}"`;
  const encoded = encodeURIComponent(fileName).replace(/['()*!]/g, (mark) => `%${mark.charCodeAt(0).toString(16).toUpperCase()}`);
  return `attachment; filename="${plain}"; filename*=UTF-8''${encoded}`;
}

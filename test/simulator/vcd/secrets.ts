/** Passwords and tokens in XML elements, XML attributes and JSON, by their names. */
export function withoutSecrets(body: string): string {
  return (
    body
      .replace(/<((?:[\w.-]+:)?\w*(?:password|token|cookie|sessionid)\w*)((?:\s[^>]*)?)>(?!(?:true|false)<)[^<]*</gi, '<$1$2>[removed]<')
      .replace(/("?\w*(?:password|token|cookie)\w*"?\s*[=:]\s*")[^"]*"/gi, '$1[removed]"')
      .replace(/((?:^|&)(?:refresh_token|access_token|client_secret)=)[^&\s]*/g, '$1[removed]')
      // The key of a UserSession is the session itself.
      .replace(/(<returnval[^>]*xsi:type="(?:\w+:)?UserSession"[^>]*>\s*<(?:\w+:)?key>)[^<]*/gi, '$1[removed]')
      .replace(/(<LoginResponse[\s\S]*?<(?:\w+:)?key>)[^<]*/gi, '$1[removed]')
  );
}

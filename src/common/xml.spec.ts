import { describe, expect, it } from 'vitest';
import { parseXml, writeXml, XmlError } from './xml.js';

describe('parseXml', () => {
  it('resolves prefixes of elements and attributes to namespaces', () => {
    const root = parseXml('<a:R xmlns:a="urn:a" xmlns="urn:d"><C x="1" a:x="2">t</C></a:R>');
    expect([root.local, root.namespace]).toEqual(['R', 'urn:a']);
    const c = root.child('C', 'urn:d');
    expect(c?.attribute('x', '')).toBe('1');
    expect(c?.attribute('x', 'urn:a')).toBe('2');
    expect(c?.text()).toBe('t');
  });

  it('decodes entities once, keeps long digits and character references as text', () => {
    const root = parseXml('<r k="a &amp;amp; &lt;b&gt; &quot;q&quot;">x &amp; y &#65;&#x42; 00090071992547409931</r>');
    expect(root.attribute('k')).toBe('a &amp; <b> "q"');
    expect(root.text()).toBe('x & y AB 00090071992547409931');
  });

  it('keeps CDATA, order and unknown elements through a round trip', () => {
    const text = '<r xmlns="urn:d" xmlns:u="urn:unknown"><b/><u:odd n="1"><deep>1 &lt; 2</deep></u:odd><b>2</b></r>';
    const again = parseXml(writeXml(parseXml(text), { prefixes: { 'urn:d': '' } }));
    expect(again).toEqual(parseXml(text));
  });

  it.each([
    ['two roots', '<a/><b/>'],
    ['no root', 'hello'],
    ['an undeclared prefix', '<q:a/>'],
    ['a document type', '<!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>'],
    ['an unclosed element', '<a><b></a>'],
  ])('refuses %s', (_, text) => {
    expect(() => parseXml(text)).toThrow(XmlError);
  });
});

describe('writeXml', () => {
  it('escapes so that reading gives back every character', () => {
    const value = 'a<b>&"\'\n\tend ]]> é 💾';
    const root = parseXml('<r/>');
    root.setAttribute('v', value).setText(value);
    const again = parseXml(writeXml(root));
    expect(again.attribute('v')).toBe(value);
    expect(again.children.join('')).toBe(value);
  });

  it('gives an attribute namespace a real prefix even when it is the default one', () => {
    const root = parseXml('<a:r xmlns:a="urn:a" a:k="1"/>');
    expect(parseXml(writeXml(root, { prefixes: { 'urn:a': '' } }))).toEqual(root);
  });
});

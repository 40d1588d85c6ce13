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

  it('reads text around comments, instructions and CDATA as one', () => {
    const root = parseXml(
      '\uFEFF<?xml version="1.0"?><!-- before -->\n<r>one <!-- a > b --><?php echo ?><![CDATA[<two> &amp; ]]>three</r>\n<!-- after -->',
    );
    expect(root.children).toEqual(['one <two> &amp; three']);
  });

  it('reads line ends as line feeds, and white space in attributes as spaces unless it is a reference', () => {
    const root = parseXml('<r a="1\r\n2\t3&#10;4" >\r\nx\ry</r >');
    expect(root.attribute('a')).toBe('1 2 3\n4');
    expect(root.children).toEqual(['\nx\ny']);
  });

  it('takes a declaration of the element itself and forgets it behind it', () => {
    const root = parseXml("<r><p:a xmlns:p='urn:p' p:k='>'/><b xmlns='urn:b'><c xmlns=''/></b></r>");
    expect(root.elements().map(({ namespace }) => namespace)).toEqual(['urn:p', 'urn:b']);
    expect(root.child('a')?.attribute('k', 'urn:p')).toBe('>');
    expect(root.find('b', 'c')?.namespace).toBe('');
    expect(() => parseXml('<r><a xmlns:p="urn:p"/><p:b/></r>')).toThrow('Prefix "p"');
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
    ['an element that never ends', '<a><b></b>'],
    ['a tag that never ends', '<a b="1"'],
    ['a comment that never ends', '<a><!-- </a>'],
    ['text after the root', '<a/>more'],
    ['an attribute twice', '<a b="1" b="2"/>'],
    ['attributes without space between', '<a b="1"c="2"/>'],
    ['a < in an attribute', '<a b="<"/>'],
    ['a bare &', '<a>R&D</a>'],
    ['an entity of its own', '<a>&constructor;</a>'],
    ['a prefix that only JavaScript knows', '<constructor:a/>'],
    ['a name with two colons', '<a:b:c xmlns:a="urn:a"/>'],
    ['what is above all characters', '<a>&#x110000;</a>'],
    ['a NUL', '<a>&#0;</a>'],
    ['half a surrogate pair', '<a b="&#xD83D;"/>'],
    ['elements nested without end', '<a>'.repeat(1_000) + '</a>'.repeat(1_000)],
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

import t from 'tap';
import { attributeOf, childOf, childrenOf, formatXml, parseXml, serialize, textOf } from '../../src/libvirt/xml.js';

const nasty = `<a href="x">'&amp;' ]]>\n\t</a> é 💿`;

t.test('what is written is read again as it was, whatever it holds', async (t) => {
  const xml = formatXml({
    name: 'disk',
    attributes: { a: nasty, n: 5, absent: undefined },
    content: [{ name: 'b', content: nasty }, undefined],
  });
  const root = parseXml(xml);
  t.equal(root.getAttribute('a'), nasty);
  t.equal(root.getAttribute('n'), '5');
  t.equal(root.hasAttribute('absent'), false);
  t.equal(childOf(root, 'b')?.textContent, nasty);
  t.equal(parseXml(serialize(root)).getAttribute('a'), nasty);
});

t.test('elements are indented, and those without content closed at once', async (t) => {
  const xml = formatXml({
    name: 'a',
    content: [
      { name: 'b', content: [{ name: 'c' }] },
      { name: 'd', content: 'e' },
    ],
  });
  t.equal(xml, '<a>\n  <b>\n    <c/>\n  </b>\n  <d>e</d>\n</a>\n');
});

t.test('a character that XML has no way to write is refused', async (t) => {
  t.throws(() => formatXml({ name: 'a', content: 'b\0c' }), { code: 'ERR_XML' });
  t.throws(() => formatXml({ name: 'a', attributes: { b: '\u0001' } }), { code: 'ERR_XML' });
});

t.test('what is not well-formed is refused', async (t) => {
  for (const text of ['', 'text', '<a>', '<a></b>', '<a b=c/>', '<a/><b/>', '<a>&unknown;</a>']) {
    t.throws(() => parseXml(text), { code: 'ERR_XML' }, text);
  }
});

t.test('entities that a document declares are not expanded', async (t) => {
  const bomb = '<!DOCTYPE a [<!ENTITY b "bbbbbbbbbb"><!ENTITY c "&b;&b;&b;">]><a>&c;</a>';
  t.throws(() => parseXml(bomb), { code: 'ERR_XML' });
});

t.test('children and attributes', async (t) => {
  const root = parseXml('<a x="1" y=""><b>1</b><!-- b --><c><b>3</b></c><b> 2 </b></a>');
  t.same(
    childrenOf(root, 'b').map((child) => child.textContent),
    ['1', ' 2 '],
  );
  t.equal(textOf(root, 'c'), '3');
  t.equal(textOf(root, 'z'), '');
  t.equal(attributeOf(root, 'x'), '1');
  t.equal(attributeOf(root, 'y'), undefined);
  t.equal(attributeOf(undefined, 'y'), undefined);
  t.equal(childOf(undefined, 'y'), undefined);
});

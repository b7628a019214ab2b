// feed reads a feed of server-sent events and gives each as {event, data}, until the server ends it.
export async function* feed(url, token, signal) {
  const response = await fetch(url, { headers: { Authorization: `Bearer ${token}` }, signal });
  if (!response.ok) throw new Error(`${url}: ${response.status} ${await response.text()}`);
  let text = '';
  for await (const octets of response.body.pipeThrough(new TextDecoderStream())) {
    text += octets;
    for (let end; (end = text.indexOf('\n\n')) >= 0; text = text.slice(end + 2)) {
      const message = { event: 'message', data: [] };
      for (const line of text.slice(0, end).split('\n')) {
        const [, field, value] = /^(\w*):? ?(.*)$/.exec(line) ?? [];
        if (field === 'event') message.event = value;
        if (field === 'data') message.data.push(value);
      }
      if (message.data.length) yield { event: message.event, data: message.data.join('\n') };
    }
  }
}

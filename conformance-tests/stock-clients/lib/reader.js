// Follows the feed with a native EventSource, and handles CLOSED as a page has to.

const reader = {
  received: [],
  newest: '',
  answers: [],
  cursor: new URLSearchParams(location.search).get('cursor') ?? '',
  source: null,

  // ANCHOR: open
  open() {
    const where = this.cursor ? { lastEventId: this.cursor } : { after: 'start' };
    const source = new EventSource(`/feed?${new URLSearchParams(where)}`);
    this.source = source;
    source.onmessage = ({ lastEventId, data }) => {
      this.cursor = lastEventId;
      this.newest = JSON.parse(data).id;
      this.received.push({ id: lastEventId, data });
    };
    for (const frame of ['ready', 'checkpoint', 'live', 'behind']) {
      source.addEventListener(`feed.${frame}`, ({ lastEventId }) => (this.cursor = lastEventId));
    }
    source.onerror = () => {
      if (source.readyState === EventSource.CLOSED) this.closed();
    };
  },
  // ANCHOR_END: open

  drop() {
    this.source.close();
    this.open();
  },

  // ANCHOR: closed
  // The browser does not report the reason and does not reconnect. So request the same URL as
  // JSON, and reconnect unless the response is a permanent refusal.
  async closed() {
    const ask = new URLSearchParams({ after: this.cursor || 'start', limit: 1 });
    const status = await fetch(`/feed?${ask}`, { headers: { Accept: 'application/json' } })
      .then((answer) => answer.status, () => 0);
    this.answers.push(status);
    const isPermanent = status >= 400 && status < 500 && status !== 429;
    if (!isPermanent) setTimeout(() => this.open(), 1_000 + Math.random() * 9_000);
  },
  // ANCHOR_END: closed
};

window.reader = reader;
reader.open();

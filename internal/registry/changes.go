package registry

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/donapi/donapi/internal/npm"
)

// maxFeed bounds a page of the change feed, bytes: ten thousand rows take two million.
const maxFeed = 64 << 20

// FeedAddress is the base address of the change feed. The public registry has it on a host of its own.
func (c *Client) FeedAddress() string {
	if c.Feed != "" {
		return strings.TrimSuffix(c.Feed, "/")
	}
	base := c.cfg.Registry("")
	if u, err := url.Parse(base); err == nil && strings.EqualFold(u.Host, public) {
		return "https://replicate.npmjs.com/registry"
	}
	return base + "/registry"
}

// Changes fetches the page of the change feed that follows since; "" is the beginning, and limit, when positive, bounds its rows. A
// page with as many rows as asked for has a successor. The feed promises little: see npm.ChangePage. A page whose Last is lower than
// since, or FeedStatus lower than a cursor, means that the feed was numbered anew.
func (c *Client) Changes(ctx context.Context, since npm.Cursor, limit int) (*npm.ChangePage, error) {
	if since == "" {
		since = "0"
	}
	q := url.Values{"since": {string(since)}}
	if limit > 0 {
		q.Set("limit", strconv.Itoa(limit))
	}
	var p *npm.ChangePage
	err := c.fetch(ctx, c.FeedAddress()+"/_changes?"+q.Encode(), feedHeader(), "change feed", maxFeed, "", func(_ *http.Response, data []byte) (err error) {
		if p, err = npm.ParseChanges(data, since); err != nil {
			return &temporary{fmt.Errorf("since %s: %w", since, err), 0}
		}
		return nil
	})
	return p, err
}

// FeedStatus fetches the newest cursor of the change feed.
func (c *Client) FeedStatus(ctx context.Context) (npm.Cursor, error) {
	var cur npm.Cursor
	err := c.fetch(ctx, c.FeedAddress()+"/", feedHeader(), "status of the change feed", 1<<20, "", func(_ *http.Response, data []byte) (err error) {
		if cur, err = npm.ParseFeedStatus(data); err != nil {
			return &temporary{err, 0}
		}
		return nil
	})
	return cur, err
}

// feedHeader carries what the migration of 2025 asked followers to send; it does no harm since.
func feedHeader() http.Header {
	return http.Header{"Accept": {"application/json"}, "Npm-Replication-Opt-In": {"true"}}
}

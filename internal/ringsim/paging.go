package ringsim

import (
	"fmt"
	"net/url"
	"strconv"
)

const (
	defaultPerPage = 100
	maxPerPage     = 1000
)

// page is the window on a list that a request asks for.
type page struct{ number, per int }

// pageOf reads page and perPage; perPage above the maximum is cut to it, "max" is the maximum.
func pageOf(rq *request) (page, *apiError) {
	p := page{number: 1, per: defaultPerPage}
	if v := rq.queryValue("page"); v != "" {
		n, err := strconv.Atoi(v)
		if err != nil || n < 1 {
			return p, invalidParameter("page", v)
		}
		p.number = n
	}
	if v := rq.queryValue("perPage"); v == "max" {
		p.per = maxPerPage
	} else if v != "" {
		n, err := strconv.Atoi(v)
		if err != nil || n < 1 {
			return p, invalidParameter("perPage", v)
		}
		p.per = min(n, maxPerPage)
	}
	return p, nil
}

// list is the answer for one page of all records. pageStart and pageEnd are left out of an empty page.
func (rq *request) list(all []object, p page) object {
	pages := (len(all) + p.per - 1) / p.per
	from := min((p.number-1)*p.per, len(all))
	to := min(from+p.per, len(all))
	paging := object{"page": p.number, "perPage": p.per, "totalPages": pages, "totalElements": len(all)}
	if from < to {
		paging["pageStart"], paging["pageEnd"] = from, to-1
	}
	navigation := object{"firstPage": object{"uri": rq.pageURI(1, p.per)}, "lastPage": object{"uri": rq.pageURI(max(pages, 1), p.per)}}
	if p.number < pages {
		navigation["nextPage"] = object{"uri": rq.pageURI(p.number+1, p.per)}
	}
	if p.number > 1 {
		navigation["previousPage"] = object{"uri": rq.pageURI(p.number-1, p.per)}
	}
	records := all[from:to]
	if records == nil {
		records = []object{}
	}
	return object{"uri": rq.pageURI(p.number, p.per), "records": records, "paging": paging, "navigation": navigation}
}

func (rq *request) pageURI(number, per int) string {
	q := url.Values{}
	for k, v := range rq.query {
		if k != "access_token" {
			q[k] = v
		}
	}
	q.Set("page", fmt.Sprint(number))
	q.Set("perPage", fmt.Sprint(per))
	return rq.host + rq.URL.EscapedPath() + "?" + q.Encode()
}

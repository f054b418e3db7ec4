from .index import Index as Index
from .query import Found as Found
from .query import Hit as Hit
from .query import Query as Query
from .query import Weighted as Weighted
from .searcher import Searcher as Searcher
